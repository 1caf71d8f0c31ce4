// Runs the program as the server does.
"use strict";

const assert = require("node:assert");
const path = require("node:path");
const test = require("node:test");
const { spawnSync } = require("node:child_process");

const program = path.join(__dirname, "cli");
const run = (...words) => spawnSync(program, words, { encoding: "utf8" });

test("greets as often as it is told", () => {
  const done = run("hello", "--name", "Ada", "--times", "2");
  assert.strictEqual(done.stdout, "Hello, Ada!\nHello, Ada!\n");
  assert.strictEqual(done.status, 0);
});

test("takes a value that begins with a hyphen", () => {
  assert.strictEqual(run("hello", "--name=-x-").stdout, "Hello, -x-!\n");
});

test("fails without a name, and says so", () => {
  const done = run("hello");
  assert.strictEqual(done.status, 1);
  assert.match(done.stderr, /needs --name/);
});
