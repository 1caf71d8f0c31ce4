// Owns what every client must see of smcp, whatever it is written with; the same table as checks.py.
//
// A client has `revision(door)`, `unauthorized(error)`, `tooLarge(door)` and `connect(door, use, { elicit, sample, roots })`,
// which runs `use(session)` and closes the session whatever comes of it. What a session has beside `tools`, `call` and
// `abandon` is in offers.mjs.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const TOOLS = [
  'demo_math__calculate', 'demo_math__format_bytes', 'demo_math__coin_flip',
  'demo_text__echo', 'demo_text__word_count', 'demo_text__slugify', 'demo_text__hash_preview',
  'interop__big', 'interop__greet', 'interop__whoami',
  'slow__count', 'slow__wait',
  'health',
];
const GOVERNOR = 'sanctum__tools';
const UNICODE = 'Grüße — 世界 🦀 e\u0301 עברית "quoted" \\back\\ <tag> &amp; tab\there, line\nbreak';
const LINE = 'abcdefghijklmnopqrstuvwxyz0123456789·äöü·世界·🦀·"\\;';
const MEGABYTE = 1_000_000;
const STATELESS = '2026-07-28';
const AGENT = 'agent-00000000-1111-2222-3333-444444444444';
const ADD = { operation: 'add', a: 2, b: 3 };
const STARTS_WITHIN_MS = 15_000;
const GONE_WITHIN_MS = 6500;
export const INVALID_PARAMS = -32602;

// The server answered with a JSON-RPC error.
export class Refused extends Error {
  constructor(code, message) {
    super(`${code} ${message}`);
    this.code = code;
  }
}

// This door does not have what the check is about.
export class Skip extends Error {}

export function openDoor(kind) {
  if (kind === 'stdio') return { kind, command: JSON.parse(process.env.SMCP_STDIO), headers: {} };
  return { kind, url: `${process.env.SMCP_URL}/${kind}`, headers: {} };
}

function keyedDoor(kind, headers) {
  if (kind === 'stdio') throw new Skip('keys are for the doors over HTTP');
  if (!process.env.SMCP_KEYED_URL) throw new Skip('no server with a key was given');
  return { kind, url: `${process.env.SMCP_KEYED_URL}/${kind}`, headers };
}

// Looks until there is something to see.
export async function until(what, look) {
  const deadline = Date.now() + STARTS_WITHIN_MS;
  while (!look()) {
    assert.ok(Date.now() < deadline, `not within ${STARTS_WITHIN_MS} ms: ${what}`);
    await sleep(20);
  }
}

export function text(result) {
  assert.deepEqual(result.content.map((block) => block.type), ['text']);
  return result.content[0].text;
}

function succeeded(result) {
  assert.equal(result.isError ?? false, false, `it failed: ${text(result).slice(0, 300)}`);
  assert.equal(result.structuredContent, undefined);
  return text(result);
}

export function failed(result, code, part) {
  assert.equal(result.isError, true);
  assert.deepEqual(result.structuredContent.error, { code, message: text(result) });
  assert.match(text(result), new RegExp(`\\b${part}\\b`));
}

// A call of `slow__wait` and the two processes that it consists of.
class Waiting {
  pidFile = join(mkdtempSync(join(tmpdir(), 'smcp-wait-')), 'pids');
  arguments = { pid_file: this.pidFile };

  started = async () => {
    const deadline = Date.now() + STARTS_WITHIN_MS;
    while (!existsSync(this.pidFile)) {
      assert.ok(Date.now() < deadline, `not started within ${STARTS_WITHIN_MS} ms`);
      await sleep(20);
    }
    assert.equal(this.#alive().length, 2, 'a process ended on its own');
  };

  async gone() {
    const deadline = Date.now() + GONE_WITHIN_MS;
    while (this.#alive().length) {
      assert.ok(Date.now() < deadline, `still running ${GONE_WITHIN_MS} ms later: ${this.#alive()}`);
      await sleep(20);
    }
  }

  #alive() {
    return readFileSync(this.pidFile, 'ascii').trim().split(' ').map(Number).filter((pid) => {
      try {
        return process.kill(pid, 0);
      } catch (error) {
        return error.code === 'EPERM';
      }
    });
  }
}

function whole(client, door, size) {
  return client.connect(door, async (session) => {
    const told = succeeded(await session.call('interop__big', { size }));
    const wanted = LINE.repeat(Math.floor(size / Buffer.byteLength(LINE)));
    const digest = (value) => createHash('sha256').update(value).digest('hex');
    assert.equal(told.length, wanted.length);
    assert.equal(digest(told), digest(wanted));
  });
}

export const CHECKS = [
  ['connect', 'the server says who it is and agrees on a revision', (client, door) =>
    client.connect(door, async (session) => {
      assert.equal(session.serverName, 'sanctum-letta-mcp');
      assert.equal(session.revision, client.revision(door));
    })],

  ['list', 'every tool is listed, in the fixed order, with its schema', (client, door) =>
    client.connect(door, async (session) => {
      const tools = await session.tools();
      assert.deepEqual(tools.map((tool) => tool.name).filter((name) => name !== GOVERNOR), TOOLS);
      assert.ok(tools.every((tool) => tool.description));
      const schema = tools[0].inputSchema;
      assert.equal(schema.type, 'object');
      assert.deepEqual(Object.keys(schema.properties).sort(), ['a', 'b', 'operation']);
      assert.deepEqual([...schema.required].sort(), ['a', 'b', 'operation']);
      assert.equal(schema.additionalProperties, false);
      assert.equal(schema.properties.a.type, 'number');
    })],

  ['call', '2 + 3 is 5.0, told as the plugin printed it', (client, door) =>
    client.connect(door, async (session) => {
      const told = succeeded(await session.call('demo_math__calculate', ADD));
      assert.deepEqual(JSON.parse(told), { ok: true, operation: 'add', a: 2, b: 3, result: 5 });
      assert.match(told, /"result": ?5\.0\b/);
    })],

  ['call', 'a tool without arguments is called without any', (client, door) =>
    client.connect(door, async (session) => {
      assert.equal(JSON.parse(succeeded(await session.call('demo_math__coin_flip', {}))).ok, true);
      assert.equal(JSON.parse(succeeded(await session.call('demo_math__coin_flip'))).ok, true);
      assert.equal(JSON.parse(succeeded(await session.call('health', {}))).status, 'healthy');
    })],

  ['call', 'the plugin learns the tool, the client and the agent, and no secret', (client, door) =>
    client.connect({ ...door, headers: { 'X-Agent-Id': AGENT } }, async (session) => {
      const told = JSON.parse(succeeded(await session.call('interop__whoami', {})));
      assert.equal(told.tool, 'interop__whoami');
      assert.equal(told.client.name, 'interop');
      assert.equal(told.client.revision, client.revision(door));
      if (door.kind !== 'stdio') assert.equal(told.agent, AGENT);
      assert.deepEqual(told.secrets, []);
    })],

  ['failing call', 'what the plugin refuses is an error result with its own words', (client, door) =>
    client.connect(door, async (session) => {
      const divided = await session.call('demo_math__calculate', { operation: 'divide', a: 1, b: 0 });
      failed(divided, 'plugin_error', 'division_by_zero');
    })],

  ['failing call', 'missing, unknown and ill-typed arguments are named and nothing is started', (client, door) =>
    client.connect(door, async (session) => {
      failed(await session.call('demo_math__calculate', { operation: 'add', a: 2 }), 'invalid_arguments', 'b');
      failed(await session.call('demo_text__echo', { message: 'x', shout: true }), 'invalid_arguments', 'shout');
      failed(await session.call('slow__count', { steps: 'many' }), 'invalid_arguments', 'steps');
    })],

  ['failing call', 'a tool that does not exist is refused the way this door refuses it', (client, door) =>
    client.connect(door, async (session) => {
      const unknown = [['nowhere__at_all', 'plugin_not_found'], ['demo_math__at_all', 'command_not_found']];
      for (const [name, code] of unknown) {
        const answer = await session.call(name, {}).catch((error) => error);
        if (answer instanceof Refused && door.kind !== 'sse') assert.equal(answer.code, INVALID_PARAMS);
        else if (door.kind !== 'mcp' && !(answer instanceof Error)) failed(answer, code, name.split('__')[0]);
        else throw new Error(`${name} is answered with ${answer instanceof Error ? answer : JSON.stringify(answer)}`);
      }
    })],

  ['unicode', 'what is written in other scripts comes back to the letter', (client, door) =>
    client.connect(door, async (session) => {
      const told = succeeded(await session.call('demo_text__echo', { message: UNICODE }));
      assert.equal(JSON.parse(told).output, UNICODE);
    })],

  ['progress', 'every step is told before the result', (client, door) =>
    client.connect(door, async (session) => {
      const steps = [];
      const result = await session.call('slow__count', { steps: 4 }, { onProgress: (step) => steps.push(step) });
      assert.deepEqual(JSON.parse(succeeded(result)), { counted: 4 });
      const wanted = [1, 2, 3, 4].map((step) => ({ progress: step, total: 4, message: `step ${step} of 4` }));
      assert.deepEqual(steps, wanted);
    })],

  ['cancel', "a cancelled call's processes are gone, no answer follows, the session goes on", (client, door) =>
    client.connect(door, async (session) => {
      const waiting = new Waiting();
      const answered = await session.abandon('slow__wait', waiting.arguments, waiting.started);
      await waiting.gone();
      assert.equal(answered, false, 'the cancelled call was answered');
      assert.equal(JSON.parse(succeeded(await session.call('demo_math__calculate', ADD))).result, 5);
    })],

  ['leave', 'a client that leaves in the middle of a call takes its processes with it', async (client, door) => {
    const revision = client.revision(door);
    if (door.kind === 'mcp' && revision < STATELESS) throw new Skip(`under ${revision} a lost connection does not cancel`);
    const waiting = new Waiting();
    await client.connect(door, async (session) => {
      session.call('slow__wait', waiting.arguments).catch(() => {});
      await waiting.started();
    });
    await waiting.gone();
  }],

  ['elicitation', "the plugin's question reaches the user and the answer reaches the plugin", async (client, door) => {
    const asked = [];
    const answer = (message, schema) => {
      asked.push([message, schema.required]);
      return { action: 'accept', content: { name: 'Ada 世界' } };
    };
    await client.connect(door, async (session) => {
      assert.equal(succeeded(await session.call('interop__greet', {})), 'Hello, Ada 世界!');
    }, { elicit: answer });
    assert.deepEqual(asked, [['What is your name?', ['name']]]);
  }],

  ['elicitation', 'a question that the user declines is declined', (client, door) =>
    client.connect(door, async (session) => {
      assert.equal(succeeded(await session.call('interop__greet', {})), 'No name given: decline');
    }, { elicit: () => ({ action: 'decline' }) })],

  ['failing call', 'a plugin that would ask a client which cannot be asked is told so', (client, door) =>
    client.connect(door, async (session) => {
      failed(await session.call('interop__greet', {}), 'plugin_error', 'could not ask');
    })],

  ['1 MB result', 'a million bytes arrive whole', (client, door) => whole(client, door, MEGABYTE)],

  ['10 MB result', 'ten million bytes arrive whole', (client, door) => {
    const why = client.tooLarge(door);
    if (why) throw new Skip(why);
    return whole(client, door, 10 * MEGABYTE);
  }],

  ['16 at once', 'sixteen calls side by side get sixteen answers, none of them crossed', (client, door) =>
    client.connect(door, async (session) => {
      const messages = Array.from({ length: 16 }, (_, number) => `call ${number}`);
      const results = await Promise.all(messages.map((message) => session.call('demo_text__echo', { message })));
      assert.deepEqual(results.map((result) => JSON.parse(succeeded(result)).output), messages);
    })],

  ['key', 'the right key opens the door, as a bearer token and as X-API-Key', async (client, { kind }) => {
    const key = process.env.SMCP_KEY;
    for (const headers of [{ Authorization: `Bearer ${key}` }, { 'X-API-Key': key }]) {
      await client.connect(keyedDoor(kind, headers), async (session) => {
        assert.equal(JSON.parse(succeeded(await session.call('demo_math__calculate', ADD))).result, 5);
      });
    }
  }],

  ['key', 'no key and a wrong key are turned away', async (client, { kind }) => {
    for (const headers of [{}, { Authorization: 'Bearer wrong' }]) {
      const error = await client.connect(keyedDoor(kind, headers), (session) => session.tools()).catch((refused) => refused);
      if (error instanceof Skip) throw error;
      assert.ok(error instanceof Error, `let in with ${JSON.stringify(headers)}`);
      assert.ok(client.unauthorized(error), `turned away, but not for the key: ${error}`);
    }
  }],
];
