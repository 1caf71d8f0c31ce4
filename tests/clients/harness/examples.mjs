// Owns what clients must see of the plugins in docs/examples; the same table as examples.py.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INVALID_PARAMS, failed, text, until } from './checks.mjs';
import { good, notFound, offering, refused } from './offers.mjs';

const PAGE = 'wiki://{section}/{page}';

function folderOf(size) {
  const folder = mkdtempSync(join(tmpdir(), 'smcp-archive-'));
  mkdirSync(join(folder, 'in'));
  writeFileSync(join(folder, 'in', 'noise'), randomBytes(size));
  return folder;
}

export const EXAMPLES = [
  ['examples', 'pictures: a badge is drawn, whatever its texts look like', (client, door) =>
    offering(client, door, async (session) => {
      const badge = await session.call('pictures__badge', { label: '-v <&>', value: '--label', colour: 'green' });
      const bars = await session.call('pictures__bars', { title: 'a\\b', value: [3, -2, 0.5] });
      for (const [result, parts] of [[badge, ['-v &lt;&amp;>', '>--label<', 'fill="green"']], [bars, ['a\\b']]]) {
        assert.deepEqual(result.content.map((block) => block.type), ['image', 'text']);
        const drawing = Buffer.from(result.content[0].data, 'base64').toString();
        for (const part of parts) assert.ok(drawing.includes(part), `${part} is not in ${drawing}`);
      }
    })],

  ['examples', 'archive: a long job tells how far it is', (client, door) =>
    offering(client, door, async (session) => {
      const folder = folderOf(300_000);
      const target = join(folder, 'out.tar.gz');
      const steps = [];
      const args = { folder: join(folder, 'in'), target, rate: 1 };
      const result = await session.call('archive__pack', args, { onProgress: (step) => steps.push(step) });
      assert.deepEqual(result.structuredContent, { files: 1, bytes: 300_000, skipped: [] });
      assert.ok(statSync(target).size > 300_000, 'noise became smaller');
      assert.ok(steps.length && steps.every((step) => step.total === 300_000), JSON.stringify(steps));
      const again = await session.call('archive__pack', args);
      assert.ok(again.isError && text(again).includes('exists'), JSON.stringify(again));
    })],

  ['examples', 'archive: a job that is cancelled leaves nothing behind', (client, door) =>
    offering(client, door, async (session) => {
      const folder = folderOf(1_000_000);
      const args = { folder: join(folder, 'in'), target: join(folder, 'out.tar.gz'), rate: 0.01 };
      const started = () => until('the archive is begun', () => readdirSync(folder).length > 1);
      assert.equal(await session.abandon('archive__pack', args, started), false, 'the cancelled call was answered');
      await until('the archive is removed', () => readdirSync(folder).join() === 'in');
    })],

  ['examples', 'expenses: the user fills in a form and confirms it before anything is filed', async (client, door) => {
    const asked = [];
    const form = { amount: 12.5, category: 'meals', date: '2026-11-20' };
    const user = (agree) => ({
      elicit: (message, schema) => {
        asked.push(message);
        return { action: 'accept', content: 'amount' in schema.properties ? form : { agree } };
      },
    });
    const total = async (session) => JSON.parse(good(await session.call('expenses__total', {}))).meals ?? 0;
    const before = await offering(client, door, async (session) => {
      const result = await session.call('expenses__claim', { reason: '-lunch' });
      assert.ok(result.isError && text(result).includes('not confirmed'), JSON.stringify(result));
      return total(session);
    }, user(false));
    assert.deepEqual(asked, ['Expense claim: -lunch', 'File 12.50 EUR for meals on 2026-11-20?']);
    await offering(client, door, async (session) => {
      const result = await session.call('expenses__claim', { reason: '-lunch' });
      assert.deepEqual(result.structuredContent, { ...form, reason: '-lunch' });
      // Filed once, whichever way the client is asked.
      assert.equal((await total(session)) - before, 12.5);
    }, user(true));
  }],

  ['examples', 'wiki: pages are written, suggested, read and watched, and nothing outside is', (client, door) =>
    offering(client, door, async (session) => {
      const page = { section: `s${process.pid}`, page: 'start' };
      const uri = `wiki://${page.section}/start`;
      const written = '  # Start\n\nwritten by a client\n';
      await session.watching(['wiki://index'], async (told) => {
        await session.call('wiki__write', { ...page, text: 'first' });
        await until('the index has changed', () => told.join() === 'wiki://index');
      });
      await session.watching([uri], async (told) => {
        assert.equal(good(await session.call('wiki__write', { ...page, text: written })), `wrote ${uri}`);
        await until('the page has changed', () => told.join() === uri);
      });
      assert.equal((await session.read(uri))[0].text, written);
      const [index] = await session.read('wiki://index');
      assert.ok(index.text.split('\n').includes(uri), index.text);
      assert.deepEqual((await session.complete('resource', PAGE, 'section', page.section)).values, [page.section]);
      const pages = await session.complete('resource', PAGE, 'page', '', { section: page.section });
      assert.deepEqual(pages.values, ['start']);
      failed(await session.call('wiki__write', { ...page, section: '..', text: 'x' }), 'invalid_arguments', 'section');
      for (const name of ['..%2F..%2Fetc', '%2Fetc']) {
        await refused(session.read(`wiki://${name}/passwd`), INVALID_PARAMS);
      }
      await refused(session.read(`wiki://${page.section}/none`), notFound(client, session));
    })],

  ['examples', 'prompts: a library is listed, completed and filled in', (client, door) =>
    offering(client, door, async (session) => {
      const listed = Object.fromEntries((await session.prompts()).map((prompt) => [prompt.name, prompt.arguments]));
      assert.deepEqual(listed['code-review'], ['language', 'focus', 'change']);
      assert.deepEqual((await session.complete('prompt', 'code-review', 'language', 'R')).values, ['Rust']);
      const [[role, asked]] = await session.prompt('code-review', { language: 'Rust', change: '--- a\n+++ b' });
      assert.equal(role, 'user');
      assert.ok(asked.includes('written in Rust') && asked.endsWith('--- a\n+++ b'), asked);
      const messages = await session.prompt('release-notes', { commits: 'fix: it' });
      assert.deepEqual(messages.map(([who]) => who), ['user', 'assistant', 'user']);
    })],
];
