// Owns what clients must see of everything that a plugin can offer beside plain tools; the same table as offers.py. The
// plugin is tests/fixtures/plugins/offers.
//
// A session has
//
//     prompts()                       -> [{ name, arguments: [names] }]
//     prompt(name, args)              -> [[role, text]]
//     resources(), templates()        -> [URI]
//     read(uri)                       -> [{ uri, mimeType, text or blob }]
//     watching(uris, use)             runs `use(told)`; `told` is the list of URIs that it is told of, as it grows
//     complete(kind, name, argument, value, known) -> { values, hasMore }; kind is 'prompt' or 'resource'

import assert from 'node:assert/strict';
import { INVALID_PARAMS, Refused, Skip, failed, text, until } from './checks.mjs';

const MISSING_CAPABILITY = -32021;
const NOT_FOUND = -32002;
const STATELESS = '2026-07-28';
const ROOTS = ['file:///home/ada/project', 'file:///home/ada/%E4%B8%96'];

const acceptName = () => ({ action: 'accept', content: { name: 'Ada 世界' } });

function rhyme(texts) {
  assert.deepEqual(texts, ['a rhyme, please']);
  return 'sun and fun';
}

// Runs `use(session)` with the server whose plugins offer more than tools.
export function offering(client, { kind }, use, user) {
  const given = kind === 'stdio' ? process.env.SMCP_OFFERS_STDIO : process.env.SMCP_OFFERS_URL;
  if (!given) throw new Skip('no server with the plugins that offer more than tools was given');
  const target = kind === 'stdio' ? { command: JSON.parse(given) } : { url: `${given}/${kind}` };
  return client.connect({ kind, headers: {}, ...target }, use, user);
}

// Awaits the JSON-RPC error that answers a request.
export async function refused(answer, code) {
  const error = await answer.catch((reason) => reason);
  assert.ok(error instanceof Refused, `it is answered with ${error instanceof Error ? error : JSON.stringify(error)}`);
  assert.equal(error.code, code);
}

// The code of a resource that is not there, as the client shows it.
export function notFound(client, session) {
  return session.revision >= STATELESS || client.showsOneCode ? INVALID_PARAMS : NOT_FOUND;
}

// The text of a call that went well, whether or not there is structured content as well.
export function good(result) {
  assert.equal(result.isError ?? false, false, `it failed: ${text(result).slice(0, 300)}`);
  return text(result);
}

export const OFFERS = [
  ['elicitation', 'a form, a text of the model and the directories, asked at once, are told apart by their keys', (client, door) =>
    offering(client, door, async (session) => {
      const answers = JSON.parse(good(await session.call('offers__everything', {})));
      assert.deepEqual(answers.who, { action: 'accept', content: { name: 'Ada 世界' } });
      assert.equal(answers.what.content.text, 'sun and fun');
      assert.deepEqual(answers.where.roots.map((root) => root.uri), ROOTS);
    }, { elicit: acceptName, sample: rhyme, roots: ROOTS })],

  ['sampling', "the client's model answers what the plugin asks", (client, door) =>
    offering(client, door, async (session) => {
      assert.equal(good(await session.call('offers__rhyme', {})), 'sun and fun');
    }, { sample: rhyme })],

  ['sampling', 'a tool that needs a model is refused where the client has none', (client, door) =>
    offering(client, door, async (session) => {
      const call = session.call('offers__rhyme', {});
      if (session.revision >= STATELESS) await refused(call, MISSING_CAPABILITY);
      else failed(await call, 'plugin_error', 'sampling');
    }, { elicit: acceptName })],

  ['roots', "the client's directories reach the plugin", (client, door) =>
    offering(client, door, async (session) => {
      assert.deepEqual(good(await session.call('offers__folders', {})).split(' '), ROOTS);
    }, { roots: ROOTS })],

  ['structured', 'a result that fits its schema is given as data', (client, door) =>
    offering(client, door, async (session) => {
      const result = await session.call('offers__measure', { station: 'EDDF' });
      assert.deepEqual(JSON.parse(good(result)), { degrees: 21.5 });
      assert.deepEqual(result.structuredContent, { degrees: 21.5 });
    })],

  ['structured', 'a structured tool that fails says why in its own words', (client, door) =>
    offering(client, door, async (session) => {
      await session.tools();
      const result = await session.call('offers__measure', { station: 'LEMD' });
      assert.equal(result.isError, true);
      assert.equal(text(result), 'no such station: LEMD');
      // An error does not fit the schema of the results, against which clients hold what is structured.
      assert.equal(result.structuredContent, undefined);
    })],

  ['arrays', 'lists, texts and numbers are structured content as well', (client, door) =>
    offering(client, door, async (session) => {
      await session.tools();
      for (const [name, args, value] of [['list', {}, [1, 2, 3]], ['either', {}, 7], ['either', { text: true }, 'seven']]) {
        const result = await session.call(`offers__${name}`, args);
        assert.deepEqual(JSON.parse(good(result)), value);
        // Where structured content has to be an object, any other value is wrapped in one.
        assert.deepEqual(result.structuredContent, session.revision >= STATELESS ? value : { result: value });
      }
    })],

  ['arrays', 'a parameter that may be anything costs the client nothing', (client, door) =>
    offering(client, door, async (session) => {
      const names = (await session.tools()).map((tool) => tool.name);
      assert.ok(names.includes('offers__loose'), `${names}`);
      for (const value of [[1, { a: null }], 'text', 7]) {
        assert.deepEqual(JSON.parse(good(await session.call('offers__loose', { value }))), { got: value });
      }
    })],

  ['prompts', 'prompts are listed with their arguments and filled in', (client, door) =>
    offering(client, door, async (session) => {
      const listed = Object.fromEntries((await session.prompts()).map((prompt) => [prompt.name, prompt.arguments]));
      assert.deepEqual([listed.travel, listed.letter], [['city', 'budget'], []]);
      const messages = await session.prompt('travel', { city: '-Ürümqi' });
      assert.deepEqual(messages, [['user', 'Plan a journey to -Ürümqi, for any price.']]);
      await refused(session.prompt('travel', {}), INVALID_PARAMS);
      await refused(session.prompt('nowhere', {}), INVALID_PARAMS);
    })],

  ['prompts', 'a prompt can ask the user', (client, door) =>
    offering(client, door, async (session) => {
      assert.deepEqual(await session.prompt('letter', {}), [['assistant', 'I am Ada 世界.']]);
    }, { elicit: acceptName })],

  ['resources', 'texts keep their white space, pictures their bytes, variables their letters', (client, door) =>
    offering(client, door, async (session) => {
      const listed = await session.resources();
      for (const uri of ['offers://makefile', 'offers://pixel']) assert.ok(listed.includes(uri), `${listed}`);
      assert.ok((await session.templates()).includes('offers://city/{name}'));
      const [makefile] = await session.read('offers://makefile');
      assert.deepEqual([makefile.text, makefile.mimeType], ['\n\tall:\n\n', 'text/x-makefile']);
      const [pixel] = await session.read('offers://pixel');
      assert.ok(pixel.blob.startsWith('iVBOR'), pixel.blob);
      const [city] = await session.read('offers://city/%C3%9Cr%C3%BCmqi');
      assert.equal(city.text, 'about Ürümqi');
    })],

  ['resources', 'what is not there is refused with the code of the revision', (client, door) =>
    offering(client, door, async (session) => {
      await refused(session.read('offers://nowhere/at/all'), notFound(client, session));
      await refused(session.read('offers://city/Atlantis'), notFound(client, session));
    })],

  ['subscriptions', 'who subscribes is told of that resource and of no other', (client, door) =>
    offering(client, door, (session) => session.watching(['offers://pixel'], async (told) => {
      for (const uri of ['offers://makefile', 'offers://pixel']) {
        assert.equal(good(await session.call('offers__touch', { uri })), 'touched');
      }
      await until('the client is told', () => told.length);
      assert.deepEqual(told, ['offers://pixel']);
    }))],

  ['completions', 'suggestions fit what was typed and know what is filled in', (client, door) =>
    offering(client, door, async (session) => {
      const typed = await session.complete('prompt', 'travel', 'city', 'city 01');
      assert.deepEqual(typed.values, Array.from({ length: 10 }, (_, digit) => `city 01${digit}`));
      assert.ok(!typed.hasMore);
      const known = await session.complete('prompt', 'travel', 'city', 'none', { budget: 'small' });
      assert.deepEqual(known.values, ['budget']);
    })],

  ['completions', 'a hundred suggestions are given, and that there are more', (client, door) =>
    offering(client, door, async (session) => {
      for (const asked of [['prompt', 'travel', 'city'], ['resource', 'offers://city/{name}', 'name']]) {
        const { values, hasMore } = await session.complete(...asked, '');
        assert.deepEqual([values.length, hasMore], [100, true]);
      }
    })],
];
