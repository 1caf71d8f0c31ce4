// The official TypeScript SDK: a session over SSE, Streamable HTTP or stdio.

import { Client as SdkClient } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema, LATEST_PROTOCOL_VERSION, McpError } from '@modelcontextprotocol/sdk/types.js';
import { Refused, walk } from './checks.mjs';

function transport(door) {
  if (door.kind === 'stdio') {
    return new StdioClientTransport({ command: door.command[0], args: door.command.slice(1), stderr: 'inherit' });
  }
  const Transport = door.kind === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(new URL(door.url), { requestInit: { headers: door.headers } });
}

class Session {
  constructor(client, revision) {
    this.client = client;
    this.revision = revision;
    this.serverName = client.getServerVersion().name;
  }

  async tools() {
    return (await this.client.listTools()).tools;
  }

  async call(name, args, { onProgress, signal } = {}) {
    try {
      return await this.client.callTool({ name, arguments: args }, undefined, { onprogress: onProgress, signal });
    } catch (error) {
      // The SDK also makes such an error out of its own timeout and abort; those are no answers.
      if (error instanceof McpError && !signal?.aborted) throw new Refused(error.code, error.message);
      throw error;
    }
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
}

export const client = {
  revision: LATEST_PROTOCOL_VERSION,

  unauthorized(error) {
    return error.code === 401 || /\b401\b|unauthorized/i.test(error.message);
  },

  // Runs `use(session)` and closes the session whatever comes of it.
  async connect(door, use, elicit) {
    const sdk = new SdkClient({ name: 'interop', version: '1.0.0' }, { capabilities: elicit ? { elicitation: {} } : {} });
    if (elicit) {
      sdk.setRequestHandler(ElicitRequestSchema, ({ params }) => elicit(params.message, params.requestedSchema));
    }
    const wire = transport(door);
    const tell = wire.setProtocolVersion?.bind(wire);
    let revision;
    // The only place where every transport learns what was agreed.
    wire.setProtocolVersion = (agreed) => {
      revision = agreed;
      tell?.(agreed);
    };
    try {
      await sdk.connect(wire);
      return await use(new Session(sdk, revision));
    } finally {
      await sdk.close();
    }
  },
};

process.exit(await walk(client, process.argv[2]));
