// Judges what a run of the conformance suite left behind; knows nothing of how it was run.
//
// Stricter than the suite: a warning is a failure, a scored scenario that left no result is one, and so is a scenario
// that the suite runs without scoring, the tasks extension among them.
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const [suite, results, ...revisions] = process.argv.slice(2);
const FAULTS = ['FAILURE', 'WARNING'];
let passed = 0;
let failed = 0;

/** The entries of the list `server:` of a requirement set: the scenarios that it scores. */
function scored(revision) {
  const file = join(suite, 'node_modules/@modelcontextprotocol/conformance/requirements', `${revision}.yaml`);
  const section = readFileSync(file, 'utf8').match(/^server:\n((?: +- .*\n)+)/m)?.[1] ?? '';
  return [...section.matchAll(/- (\S+)/g)].map((entry) => entry[1]);
}

/** The checks of each scenario by its name: the suite writes server-NAME-TIME/checks.json. */
function checksByScenario(revision) {
  return new Map(
    globSync(join(results, revision, '*/checks.json'))
      .sort()
      .map((file) => {
        const name = basename(dirname(file)).replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/, '');
        return [name, JSON.parse(readFileSync(file, 'utf8'))];
      }),
  );
}

function judge(name, checks) {
  const good = checks.filter((check) => check.status === 'SUCCESS').length;
  const bad = checks.filter((check) => FAULTS.includes(check.status));
  const skipped = checks.filter((check) => check.status === 'SKIPPED').length;
  const mark = bad.length ? 'FAIL' : 'pass';
  console.log(`${mark}  ${name}: ${good} of ${good + bad.length} checks${skipped ? `, ${skipped} skipped` : ''}`);
  for (const check of bad) console.log(`      ${check.status} ${check.id}: ${check.errorMessage ?? check.description}`);
  return { good, bad: bad.length };
}

for (const revision of revisions) {
  console.log(`\n${revision}`);
  const required = scored(revision);
  const ran = checksByScenario(revision);
  let scenarios = 0;
  let checks = 0;
  let all = 0;
  for (const name of required) {
    const outcome = judge(name, ran.get(name) ?? [{ id: name, status: 'FAILURE', errorMessage: 'did not run' }]);
    scenarios += outcome.bad === 0;
    checks += outcome.good;
    all += outcome.good + outcome.bad;
    failed += outcome.bad;
  }
  passed += checks;
  for (const [name, its] of ran) {
    if (required.includes(name)) continue;
    const outcome = judge(`${name} (not scored)`, its);
    passed += outcome.good;
    failed += outcome.bad;
  }
  if (required.length === 0) {
    console.log('FAIL  the requirement set names no scenario');
    failed += 1;
  }
  console.log(`${revision}: ${scenarios} of ${required.length} scored scenarios, ${checks} of ${all} of their checks`);
}

console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
