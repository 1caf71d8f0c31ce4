// The official TypeScript SDK, 1.x: a session over SSE, Streamable HTTP or stdio.

import { Client as SdkClient } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LATEST_PROTOCOL_VERSION,
  ListRootsRequestSchema,
  McpError,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { Refused } from './checks.mjs';
import { Session } from './session.mjs';
import { walk } from './suite.mjs';

function transport(door) {
  if (door.kind === 'stdio') {
    return new StdioClientTransport({ command: door.command[0], args: door.command.slice(1), stderr: 'inherit' });
  }
  const Transport = door.kind === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(new URL(door.url), { requestInit: { headers: door.headers } });
}

class SessionOfOne extends Session {
  constructor(sdk, revision) {
    super(sdk, revision);
    sdk.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      this.told.push(params.uri);
    });
  }

  async call(name, args, { onProgress, signal } = {}) {
    try {
      return await this.sdk.callTool({ name, arguments: args }, undefined, { onprogress: onProgress, signal });
    } catch (error) {
      // The SDK also makes such an error out of its own timeout and abort; those are no answers.
      if (error instanceof McpError && !signal?.aborted) throw new Refused(error.code, error.message);
      throw error;
    }
  }

  async answered(request) {
    try {
      return await request;
    } catch (error) {
      throw error instanceof McpError ? new Refused(error.code, error.message) : error;
    }
  }

  async watching(uris, use) {
    this.told.length = 0;
    for (const uri of uris) await this.sdk.subscribeResource({ uri });
    await use(this.told);
    for (const uri of uris) await this.sdk.unsubscribeResource({ uri });
  }
}

const client = {
  revision: () => LATEST_PROTOCOL_VERSION,

  tooLarge: () => undefined,

  unauthorized(error) {
    return error.code === 401 || /\b401\b|unauthorized/i.test(error.message);
  },

  async connect(door, use, { elicit, sample, roots } = {}) {
    const capabilities = { ...(elicit && { elicitation: {} }), ...(sample && { sampling: {} }), ...(roots && { roots: {} }) };
    const sdk = new SdkClient({ name: 'interop', version: '1.0.0' }, { capabilities });
    if (elicit) {
      sdk.setRequestHandler(ElicitRequestSchema, ({ params }) => elicit(params.message, params.requestedSchema));
    }
    if (sample) {
      sdk.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
        const text = sample(params.messages.map((message) => message.content.text));
        return { role: 'assistant', content: { type: 'text', text }, model: 'm' };
      });
    }
    if (roots) sdk.setRequestHandler(ListRootsRequestSchema, () => ({ roots: roots.map((uri) => ({ uri })) }));
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
      return await use(new SessionOfOne(sdk, revision));
    } finally {
      await sdk.close();
    }
  },
};

process.exit(await walk(client, process.argv[2]));
