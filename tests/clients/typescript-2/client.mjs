// The official TypeScript SDK, 2.x: with the handshake over SSE, without over Streamable HTTP and stdio.

import {
  Client as SdkClient,
  ProtocolError,
  SSEClientTransport,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Refused } from './checks.mjs';
import { Session } from './session.mjs';
import { walk } from './suite.mjs';

const HANDSHAKE = '2025-11-25';
const STATELESS = '2026-07-28';

function transport(door) {
  if (door.kind === 'stdio') {
    return new StdioClientTransport({ command: door.command[0], args: door.command.slice(1), stderr: 'inherit' });
  }
  const Transport = door.kind === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(new URL(door.url), { requestInit: { headers: door.headers } });
}

class SessionOfTwo extends Session {
  constructor(sdk, revision) {
    super(sdk, revision);
    sdk.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      this.told.push(params.uri);
    });
  }

  async call(name, args, { onProgress, signal } = {}) {
    return this.answered(this.sdk.callTool({ name, arguments: args }, { onprogress: onProgress, signal }));
  }

  async answered(request) {
    try {
      return await request;
    } catch (error) {
      throw error instanceof ProtocolError ? new Refused(error.code, error.message) : error;
    }
  }

  async watching(uris, use) {
    this.told.length = 0;
    if (this.revision >= STATELESS) {
      const subscription = await this.sdk.listen({ resourceSubscriptions: uris });
      await use(this.told);
      return subscription.close();
    }
    for (const uri of uris) await this.sdk.subscribeResource({ uri });
    await use(this.told);
    for (const uri of uris) await this.sdk.unsubscribeResource({ uri });
  }
}

const client = {
  // The SDK shows -32002, which older revisions have for a resource that is not there, as -32602.
  showsOneCode: true,

  revision: (door) => (door.kind === 'sse' ? HANDSHAKE : STATELESS),

  tooLarge: () => undefined,

  unauthorized(error) {
    return error.code === 401 || error.status === 401 || /\b401\b|unauthorized/i.test(error.message);
  },

  async connect(door, use, { elicit, sample, roots } = {}) {
    const capabilities = { ...(elicit && { elicitation: {} }), ...(sample && { sampling: {} }), ...(roots && { roots: {} }) };
    const mode = door.kind === 'sse' ? 'legacy' : { pin: STATELESS };
    const sdk = new SdkClient({ name: 'interop', version: '1.0.0' }, { capabilities, versionNegotiation: { mode } });
    if (elicit) {
      sdk.setRequestHandler('elicitation/create', ({ params }) => elicit(params.message, params.requestedSchema));
    }
    if (sample) {
      sdk.setRequestHandler('sampling/createMessage', ({ params }) => {
        const text = sample(params.messages.map((message) => message.content.text));
        return { role: 'assistant', content: { type: 'text', text }, model: 'm' };
      });
    }
    if (roots) sdk.setRequestHandler('roots/list', () => ({ roots: roots.map((uri) => ({ uri })) }));
    try {
      await sdk.connect(transport(door));
      return await use(new SessionOfTwo(sdk, sdk.getNegotiatedProtocolVersion()));
    } finally {
      await sdk.close();
    }
  },
};

process.exit(await walk(client, process.argv[2]));
