// Owns the run of one suite: every check of every table against one door, a line a check; knows no check.

import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKS, Skip, openDoor } from './checks.mjs';
import { EXAMPLES } from './examples.mjs';
import { OFFERS } from './offers.mjs';

const CHECK_LIMIT_MS = 60_000;

async function outcome(run) {
  const limit = new AbortController();
  const late = sleep(CHECK_LIMIT_MS, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`not done within ${CHECK_LIMIT_MS / 1000} s`);
  });
  try {
    await Promise.race([run(), late]);
    return ['pass', ''];
  } catch (error) {
    const reason = ` -- ${String(error.message).replace(/\s+/g, ' ').slice(0, 400)}`;
    return [error instanceof Skip ? 'skip' : 'FAIL', reason];
  } finally {
    late.catch(() => {});
    limit.abort();
  }
}

// Runs all checks against one door, prints a line a check and the sum, and gives the exit code.
export async function walk(client, kind) {
  const count = { pass: 0, FAIL: 0, skip: 0 };
  const door = openDoor(kind);
  for (const [topic, claim, run] of [...CHECKS, ...OFFERS, ...EXAMPLES]) {
    const begun = Date.now();
    const [verdict, reason] = await outcome(async () => run(client, door));
    count[verdict] += 1;
    const tail = verdict === 'pass' ? ` (${((Date.now() - begun) / 1000).toFixed(2)} s)` : reason;
    console.log(`${verdict}  ${topic}: ${claim}${tail}`);
  }
  console.log(`${count.pass} passed, ${count.FAIL} failed`);
  return count.pass && !count.FAIL ? 0 : 1;
}
