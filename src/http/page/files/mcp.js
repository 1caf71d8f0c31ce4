// A client of the Model Context Protocol over Streamable HTTP, revision 2025-11-25.

const REVISION = "2025-11-25";
// How often a stream that broke off is asked for again.
const RETURNS = 20;

/** The server refuses: with a status, or with an error of the protocol. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export class Client {
  #url;
  #key;
  #session = null;
  #opening = null;
  // How often the session was forgotten: one that was asked for before is not used after.
  #forgotten = 0;
  #next = 1;

  /** `key` gives the key of this moment, or null. */
  constructor(url, key) {
    this.#url = url;
    this.#key = key;
  }

  /** Forgets the session, for the server does. */
  forget() {
    this.#session = null;
    this.#opening = null;
    this.#forgotten += 1;
  }

  /** Ends the session, also while the page is being closed. */
  close() {
    if (!this.#session) return;
    fetch(this.#url, { method: "DELETE", headers: this.#headers(), keepalive: true }).catch(() => {});
    this.forget();
  }

  async listTools() {
    const result = await this.#request("tools/list", () => "{}");
    return Array.isArray(result.tools) ? result.tools : [];
  }

  /**
   * Calls a tool. `args` is the text of a JSON object, so that no digit of a number is lost. `on.progress` gets what
   * the program says, `on.question` what it asks and gives a promise of the answer. `signal` cancels the call.
   */
  callTool(name, args, on, signal) {
    const params = (id) => `{"name":${JSON.stringify(name)},"arguments":${args},"_meta":{"progressToken":${id}}}`;
    return this.#request("tools/call", params, on, signal);
  }

  #headers() {
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
    const key = this.#key();
    if (key) headers["X-API-Key"] = key;
    if (this.#session) {
      headers["Mcp-Session-Id"] = this.#session;
      headers["MCP-Protocol-Version"] = REVISION;
    }
    return headers;
  }

  #post(body, signal) {
    return fetch(this.#url, { method: "POST", headers: this.#headers(), body, signal, cache: "no-store" });
  }

  /** Opens one session, however many ask for it. */
  async #opened() {
    const opening = (this.#opening ??= this.#open());
    try {
      await opening;
    } finally {
      if (this.#opening === opening) this.#opening = null;
    }
  }

  async #open() {
    const hello = {
      protocolVersion: REVISION,
      capabilities: { elicitation: { form: {}, url: {} } },
      clientInfo: { name: "smcp-page", title: "The page of smcp", version: "1" },
    };
    const forgotten = this.#forgotten;
    const headers = this.#headers();
    const response = await this.#post(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params: hello }));
    if (!response.ok) throw await refusal(response);
    const session = response.headers.get("Mcp-Session-Id");
    await this.#answer(response, 0, {});
    if (forgotten === this.#forgotten) {
      this.#session = session;
      await this.#post(JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }));
      if (forgotten === this.#forgotten) return;
    } else if (session) {
      fetch(this.#url, { method: "DELETE", headers: { ...headers, "Mcp-Session-Id": session, "MCP-Protocol-Version": REVISION } }).catch(() => {});
    }
    throw new Refused("the page has left this session");
  }

  async #request(method, params, on = {}, signal) {
    for (let again = true; ; again = false) {
      if (!this.#session) await this.#opened();
      const session = this.#session;
      const id = this.#next++;
      // A lost connection is no cancellation, so the server is told; and the response is left, which else holds one.
      const stop = new AbortController();
      const cancel = () => {
        this.#notify("notifications/cancelled", { requestId: id, reason: "stopped on the page" });
        stop.abort();
      };
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        const response = await this.#post(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params(id)}}`, stop.signal);
        if (response.status === 404 && again) {
          // The session has gone, so nothing of the request was done.
          if (this.#session === session) this.forget();
          continue;
        }
        if (!response.ok) throw await refusal(response);
        return await this.#answer(response, id, on, stop.signal);
      } finally {
        signal?.removeEventListener("abort", cancel);
      }
    }
  }

  #notify(method, params) {
    this.#post(JSON.stringify({ jsonrpc: "2.0", method, params })).catch(() => {});
  }

  /** The result of the request `id`, out of a response that is JSON or a stream of events. */
  async #answer(response, id, on, signal) {
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return result(await response.json());
    const known = { last: null, retry: 1000 };
    for (let returns = 0; ; returns++) {
      try {
        for await (const data of events(response.body, known, signal)) {
          const message = JSON.parse(data);
          if (message.id === id && !message.method) return result(message);
          this.#heard(message, id, on);
        }
      } catch (fault) {
        if (signal?.aborted || fault instanceof Refused) throw fault;
      }
      if (known.last === null || returns === RETURNS) throw new Refused("the connection broke off before the answer");
      await new Promise((wake) => setTimeout(wake, known.retry));
      const headers = { ...this.#headers(), Accept: "text/event-stream", "Last-Event-ID": known.last };
      try {
        const next = await fetch(this.#url, { headers, signal, cache: "no-store" });
        if (!next.ok) throw await refusal(next);
        response = next;
      } catch (fault) {
        if (signal?.aborted || fault instanceof Refused) throw fault;
        // The server may be on its way back.
        response = new Response("");
      }
    }
  }

  async #heard(message, id, on) {
    if (message.method === "notifications/progress" && message.params?.progressToken === id) {
      on.progress?.(message.params);
    } else if (message.method === "elicitation/create" && on.question) {
      const answer = await on.question(message.params ?? {});
      this.#post(JSON.stringify({ jsonrpc: "2.0", id: message.id, result: answer })).catch(() => {});
    } else if (message.method && message.id !== undefined) {
      const error = { code: -32601, message: "this page cannot answer that" };
      this.#post(JSON.stringify({ jsonrpc: "2.0", id: message.id, error })).catch(() => {});
    }
  }
}

function result(message) {
  if (message.error) throw new Refused(String(message.error.message ?? "the server refused"));
  return message.result ?? {};
}

async function refusal(response) {
  const text = await response.text().catch(() => "");
  let said;
  try {
    const body = JSON.parse(text);
    said = body.message ?? body.error?.message ?? body.error;
  } catch {
    said = undefined;
  }
  return new Refused(typeof said === "string" ? said : `the server answers ${response.status}`, response.status);
}

/** The data of each event. Notes in `known` where to go on when the stream breaks off. */
async function* events(body, known, signal) {
  if (!body) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const leave = () => reader.cancel().catch(() => {});
  signal?.addEventListener("abort", leave, { once: true });
  try {
    // Pieces are joined when a line ends, so that a long line costs no more than its length.
    let pieces = [];
    let data = [];
    for (;;) {
      const { value, done } = await reader.read();
      if (signal?.aborted) throw new DOMException("stopped", "AbortError");
      if (done) return;
      const lines = value.split("\n");
      for (let index = 0; index < lines.length; index++) {
        pieces.push(lines[index]);
        if (index === lines.length - 1) break;
        const line = pieces.join("").replace(/\r$/, "");
        pieces = [];
        if (line === "") {
          const whole = data.join("\n");
          data = [];
          if (whole) yield whole;
        } else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
        else if (line.startsWith("id:")) known.last = line.slice(3).trim();
        else if (line.startsWith("retry:")) known.retry = Math.min(Math.max(Number(line.slice(6)) || 0, 100), 60_000);
      }
    }
  } finally {
    signal?.removeEventListener("abort", leave);
    leave();
  }
}
