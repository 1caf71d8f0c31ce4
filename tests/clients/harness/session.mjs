// Owns what both lines of the TypeScript SDK do alike in a session; knows neither of them.
//
// A line adds `call(name, args, { onProgress, signal })`, `answered(request)`, which turns the SDK's errors into Refused,
// and `watching(uris, use)`.

export class Session {
  constructor(sdk, revision) {
    this.sdk = sdk;
    this.revision = revision;
    this.serverName = sdk.getServerVersion().name;
    this.told = [];
  }

  async tools() {
    return (await this.sdk.listTools()).tools;
  }

  // True if the call was answered all the same.
  async abandon(name, args, started) {
    const abort = new AbortController();
    const call = this.call(name, args, { signal: abort.signal });
    const answered = call.then(() => true, () => false);
    await started();
    abort.abort('no longer wanted');
    return answered;
  }

  async prompts() {
    const { prompts } = await this.sdk.listPrompts();
    return prompts.map((prompt) => ({ name: prompt.name, arguments: (prompt.arguments ?? []).map((known) => known.name) }));
  }

  async prompt(name, args) {
    const { messages } = await this.answered(this.sdk.getPrompt({ name, arguments: args }));
    return messages.map((message) => [message.role, message.content.text]);
  }

  async resources() {
    return (await this.sdk.listResources()).resources.map((resource) => resource.uri);
  }

  async templates() {
    return (await this.sdk.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate);
  }

  async read(uri) {
    return (await this.answered(this.sdk.readResource({ uri }))).contents;
  }

  async complete(kind, name, argument, value, known) {
    const ref = kind === 'prompt' ? { type: 'ref/prompt', name } : { type: 'ref/resource', uri: name };
    const params = { ref, argument: { name: argument, value }, ...(known && { context: { arguments: known } }) };
    return (await this.answered(this.sdk.complete(params))).completion;
  }
}
