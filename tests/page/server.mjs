// A real smcp for the page's tests, a client beside the page, and a proxy that takes a prefix off.

import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const PATIENCE = 60_000;

/** What `look` gives, as soon as it gives anything but undefined, null or false. */
export async function until(what, look) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${PATIENCE / 1000} s`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

export class Server {
  constructor(binary, { settings = {}, plugins = ["workshop"], port = 0 } = {}) {
    this.binary = binary;
    this.settings = settings;
    this.home = mkdtempSync(join(tmpdir(), "smcp-page-"));
    this.plugins = join(this.home, "plugins");
    mkdirSync(this.plugins);
    for (const name of plugins) cpSync(join(HERE, "plugins", name), join(this.plugins, name), { recursive: true });
    this.port = port;
  }

  async start() {
    const args = ["--port", String(this.port), "--plugins-dir", this.plugins];
    const env = { PATH: process.env.PATH, HOME: this.home, LANG: "C.UTF-8", MCP_DISABLE_FILE_LOG: "1", ...this.settings };
    this.process = spawn(this.binary, args, { env, cwd: this.home, stdio: ["ignore", "pipe", "pipe"] });
    this.said = "";
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on("data", (data) => (this.said += data));
    this.ended = new Promise((ended) => this.process.on("exit", ended));
    this.port = await until("the server listens", () => {
      if (this.process.exitCode !== null) throw new Error(`the server ended: ${this.said}`);
      return Number(/listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(this.said)?.[1]) || null;
    });
    this.url = `http://127.0.0.1:${this.port}`;
    await until("the server is ready", () => fetch(`${this.url}/readyz`).then((answer) => answer.ok, () => false));
    return this;
  }

  async stop() {
    if (this.process.exitCode === null) this.process.kill("SIGTERM");
    await this.ended;
  }

  async end() {
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }

  /** A plugin with so many tools. */
  addMany(count) {
    const directory = join(this.plugins, "many");
    mkdirSync(directory);
    const lines = [
      "#!/usr/bin/env python3", "import json, sys",
      `commands = [{"name": f"tool_{n}", "description": f"The tool of the number {n}, which does nothing but say so."} for n in range(${count})]`,
      'if sys.argv[1:] == ["--describe"]:', '    print(json.dumps({"contract_version": "1.1", "plugin": {"name": "many", "version": "1"}, "commands": commands}))',
      "else:", "    print(sys.argv[1])", "",
    ];
    writeFileSync(join(directory, "cli.py"), lines.join("\n"), { mode: 0o755 });
  }
}

/** A client of /messages/, which waits for the answer of one call. */
export async function call(url, name, args = {}, key) {
  const headers = { "Content-Type": "application/json", "X-Agent-Id": "agent-7" };
  if (key) headers["X-API-Key"] = key;
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args } });
  const answer = await fetch(`${url}/messages/`, { method: "POST", headers, body });
  return (await answer.json()).result;
}

/** A proxy that serves `target` below `prefix`, and takes the prefix off. */
export function proxy(target, prefix) {
  const server = http.createServer((request, response) => {
    if (!request.url.startsWith(`${prefix}/`)) {
      response.writeHead(404).end();
      return;
    }
    const path = request.url.slice(prefix.length);
    const on = http.request(`${target}${path}`, { method: request.method, headers: { ...request.headers, "X-Forwarded-For": "192.0.2.7" } }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    on.on("error", () => response.destroy());
    response.on("close", () => on.destroy());
    request.pipe(on);
  });
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready({ url: `http://127.0.0.1:${server.address().port}${prefix}`, close: () => server.close() })));
}

export const read = (path) => readFileSync(path, "utf8");
