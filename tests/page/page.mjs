// Uses the page as people do. Started by the script `run` beside it.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { Server, call, proxy, read, until } from "./server.mjs";

const [suite, binary, executablePath, ...options] = process.argv.slice(2);
const require = createRequire(join(suite, "package.json"));
const { chromium } = require("playwright-core");
const AXE = read(require.resolve("axe-core/axe.min.js"));
const SOURCES = options.includes("--sources");
const PICTURES = options.includes("--pictures");

const faults = [];
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });

/** A file of the page as it stands in the sources, so that a change can be tried without building the program. */
async function source(route) {
  const name = new URL(route.request().url()).pathname.split("/").pop() || "index.html";
  if (name === "state" || name === "stop" || name === "ui") return route.fallback();
  const answer = await route.fetch();
  return route.fulfill({ response: answer, body: read(join("src/http/page/files", name)) });
}

/** A tab of its own. Whatever it complains of is a fault: scripts that fail, and what its policy had to refuse. */
async function open(url, { width = 1200, height = 800, dark = false, forced = false, expected = () => false } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce", forcedColors: forced ? "active" : "none" });
  if (SOURCES) await context.route(/\/ui\/[a-z]*\.?(js|css)?$/, source);
  const page = await context.newPage();
  page.setDefaultTimeout(45_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !expected(message.text()) && complaints.push(message.text()));
  // What a redirect leads to is not replaced.
  await page.goto(SOURCES ? url.replace(/\/ui$/, "/ui/") : url);
  return { page, complaints, close: () => context.close() };
}

/** Without `goesOn`, a fault ends everything: what follows could only wait in vain. */
async function check(name, work, goesOn = true) {
  const began = Date.now();
  try {
    await work();
    console.log(`pass  page: ${name} (${Date.now() - began} ms)`);
  } catch (fault) {
    faults.push(name);
    console.log(`FAIL  page: ${name}\n      ${String(fault?.stack ?? fault).split("\n").slice(0, 12).join("\n      ")}`);
    if (!goesOn) throw fault;
  }
}

async function choose(page, tool) {
  await page.getByRole("link", { name: "Tools" }).click();
  await page.locator(`#tool-list button[data-tool="${tool}"]`).click();
}

const send = (page) => page.locator("#tool-pane button.primary").click();
const outcome = (page) => page.locator("#tool-pane .outcome");
const focused = (page) => page.evaluate(() => document.activeElement.outerHTML.slice(0, 200));
const text = (page) => page.locator("#tool-pane pre").first();
const ready = (page) => page.locator('#state[data-state="ready"]').waitFor();

/** What axe finds on the page as it is. */
async function axe(page, where) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const told = found.violations.map((one) => `${one.impact} ${one.id}: ${one.nodes.map((node) => node.target.join(" ")).slice(0, 4).join(", ")}`);
  assert.deepEqual(told, [], where);
}

async function tools(server) {
  const { page, complaints, close } = await open(`${server.url}/ui`);
  await check("the address without a slash leads to the page, which finds its server", async () => {
    await ready(page);
    assert.equal(new URL(page.url()).pathname, "/ui/");
  }, false);
  await check("a form has a field for each argument, and its result is what the program says", async () => {
    await choose(page, "workshop__order");
    await page.getByLabel("name required").fill("Ada <b>");
    assert.equal(await page.getByLabel("cups").inputValue(), "1", "the default is filled in");
    await page.getByLabel("cups").fill("3");
    await page.getByLabel("size").selectOption({ label: "large" });
    await page.getByLabel("to_go").selectOption({ label: "yes" });
    await page.getByLabel("extras").fill("milk\noat cookies");
    await page.getByLabel("price").fill("12345678901234567890");
    await page.getByLabel("more").fill('{"note": [1, 2]}');
    await send(page);
    await outcome(page).waitFor();
    assert.match(await outcome(page).innerText(), /^Succeeded after/);
    const said = JSON.parse(await text(page).innerText());
    assert.deepEqual([said.name, said.cups, said.size, said.to_go, said.extras], ["Ada <b>", 3, "large", true, ["milk", "oat cookies"]]);
    assert.equal(said.price, "12345678901234567890", "no digit is lost");
    assert.deepEqual(JSON.parse(said.more), { note: [1, 2] });
  });
  await check("what is missing or wrong is said at its field, and nothing is called", async () => {
    await page.getByLabel("name required").fill("");
    await page.getByLabel("cups").fill("many");
    await send(page);
    const field = page.getByLabel("name required");
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.ok(await field.evaluate((it) => it === document.activeElement), "the first fault has the focus");
    const described = (await page.getByLabel("cups").getAttribute("aria-describedby")).split(" ");
    const words = await Promise.all(described.map((id) => page.locator(`#${id}`).innerText()));
    assert.match(words.join(" "), /how many.*Write a number/);
    assert.match(await outcome(page).innerText(), /^Succeeded/, "the last result stays");
  });
  await check("arguments can be written as JSON, too", async () => {
    await page.getByLabel("name required").fill("Grace");
    await page.getByLabel("cups").fill("2");
    await page.getByRole("button", { name: "As JSON" }).click();
    const area = page.getByLabel("Arguments as JSON");
    assert.equal(JSON.parse(await area.inputValue()).name, "Grace");
    assert.match(await area.inputValue(), /"price": ?12345678901234567890/, "no digit is lost on the way");
    await area.fill("{");
    await send(page);
    await page.getByText("This is not JSON").waitFor();
    await area.fill('{"name":"Edsger"}');
    await send(page);
    await until("the new result", async () => (await text(page).innerText()).includes("Edsger"));
  });
  await check("a long call shows how far it is, and then its result", async () => {
    await choose(page, "workshop__copy_files");
    await page.getByLabel("files").fill("3");
    await page.getByLabel("gate").fill(server.home);
    await send(page);
    const bar = page.locator("#tool-pane progress");
    for (const step of [1, 2, 3]) {
      await page.locator("#tool-pane .words", { hasText: `file ${step} of 3` }).waitFor();
      assert.equal(await bar.evaluate((it) => Math.round(it.position * 3)), step);
      writeFileSync(join(server.home, String(step)), "");
    }
    await outcome(page).waitFor();
    assert.equal(await text(page).innerText(), "3 files were copied");
  });
  await check("a question is answered in a dialog", async () => {
    await choose(page, "workshop__book");
    await page.getByLabel("city required").fill("Vienna");
    await send(page);
    const dialog = page.getByRole("dialog");
    await dialog.getByText("A trip to Vienna").waitFor();
    await axe(page, "the dialog of a question");
    await dialog.getByLabel("seat required").selectOption({ label: "window" });
    assert.equal(await dialog.getByLabel("Nights required").inputValue(), "2");
    await dialog.getByLabel("Nights required").fill("99");
    await dialog.getByRole("button", { name: "Answer" }).click();
    await dialog.getByText("Not more than 14.").waitFor();
    await dialog.getByLabel("Nights required").fill("3");
    await dialog.getByRole("button", { name: "Answer" }).click();
    await outcome(page).waitFor();
    assert.deepEqual(JSON.parse(await text(page).innerText()), { action: "accept", content: { seat: "window", nights: 3 } });
  });
  await check("a question is answered by keyboard: Enter sends one line, Ctrl+Enter a long text, and no line break comes with it", async () => {
    await choose(page, "workshop__register");
    for (const [keys, content] of [[["A", "d", "a", "Enter"], { name: "Ada" }], [["A", "Tab", "b", "Enter", "c", "Control+Enter"], { name: "A", about: "b\nc" }]]) {
      await page.locator("#tool-pane button.primary").press("Enter");
      await page.getByRole("dialog").waitFor();
      for (const key of keys) await page.keyboard.press(key);
      await page.getByRole("dialog").waitFor({ state: "hidden" });
      await until("the answer", async () => (await outcome(page).count()) > 0);
      assert.deepEqual(JSON.parse(await text(page).innerText()), { action: "accept", content });
      assert.match(await focused(page), /primary/, "the focus is where it was");
    }
  });
  await check("Enter calls a tool from a text of one line, Shift+Enter makes another line", async () => {
    await choose(page, "workshop__order");
    await page.getByRole("button", { name: "As JSON" }).click();
    const name = page.getByLabel("name required");
    assert.equal(await name.inputValue(), "Edsger", "what was written as JSON is taken into the form");
    await name.fill("Ada");
    await name.press("Shift+Enter");
    await page.keyboard.type("Lovelace");
    await name.press("Enter");
    await until("the new result", async () => (await text(page).innerText()).includes("Lovelace"));
    assert.equal(JSON.parse(await text(page).innerText()).name, "Ada\nLovelace");
    const extras = page.getByLabel("extras");
    await extras.fill("milk");
    await extras.press("Enter");
    await page.keyboard.type("rum");
    await extras.press("Control+Enter");
    await until("the new result", async () => (await text(page).innerText()).includes("rum"));
    assert.deepEqual(JSON.parse(await text(page).innerText()).extras, ["milk", "rum"]);
  });
  await check("As JSON shows what is filled in and takes back what is written, and nothing is lost on either way", async () => {
    await page.getByLabel("name required").fill("");
    await page.getByLabel("cups").fill("many");
    await page.getByLabel("price").fill("12345678901234567890");
    const as = page.getByRole("button", { name: "As JSON" });
    const area = page.getByLabel("Arguments as JSON");
    const said = page.locator("#tool-pane form > .fault");
    await as.click();
    const shown = await area.inputValue();
    assert.deepEqual(Object.keys(JSON.parse(shown)), ["extras", "price"]);
    assert.match(shown, /12345678901234567890/);
    assert.match(await said.innerText(), /Not in this JSON.*cups: Write a number/);
    await as.click();
    assert.equal(await page.getByLabel("cups").inputValue(), "many", "untouched, it changes nothing");
    for (const [wrong, words] of [["{", /not JSON/], ["[1]", /an object/], ['{"cups": {"a": 1}}', /value of cups/], ['{"tea": 1}', /value of tea/], ['{"extras": ["a\\nb"]}', /value of extras/]]) {
      if ((await as.getAttribute("aria-pressed")) === "false") await as.click();
      await area.fill(wrong);
      await as.click();
      assert.equal(await area.inputValue(), wrong, "what was written stays");
      assert.match(await said.innerText(), words);
    }
    await area.fill('{"name": "Grace", "cups": 99, "to_go": true, "extras": ["a", "b, c"], "price": 98765432109876543210, "more": {"x": [1.0, "}"]}}');
    await as.click();
    const fields = ["name required", "cups", "extras", "price"].map((label) => page.getByLabel(label).inputValue());
    assert.deepEqual(await Promise.all(fields), ["Grace", "99", "a\nb, c", "98765432109876543210"]);
    assert.equal(await page.getByLabel("size").inputValue(), "", "what is not in it is not set");
    assert.match(await page.getByLabel("more").inputValue(), /1\.0/);
    await as.click();
    await as.click();
    await page.getByLabel("cups").fill("2");
    await send(page);
    await until("the new result", async () => (await text(page).innerText()).includes("Grace"));
    const result = JSON.parse(await text(page).innerText());
    assert.deepEqual([result.price, result.to_go, JSON.parse(result.more)], ["98765432109876543210", true, { x: [1, "}"] }]);
  });
  await check("a question is declined, and closed by Escape", async () => {
    await choose(page, "workshop__book");
    for (const [act, action] of [[() => page.getByRole("button", { name: "Decline" }).click(), "decline"], [() => page.keyboard.press("Escape"), "cancel"]]) {
      await send(page);
      await page.getByRole("dialog").waitFor();
      await act();
      await until(action, async () => (await outcome(page).count()) > 0 && (await text(page).innerText()).includes(`"${action}"`));
    }
  });
  await check("an address that a plugin wants to be opened is shown, and opened by nobody but the person", async () => {
    await choose(page, "workshop__authorize");
    await send(page);
    const dialog = page.getByRole("dialog");
    const link = dialog.getByRole("link", { name: "https://example.org/sign-in" });
    await link.waitFor();
    assert.equal(await link.getAttribute("target"), "_blank");
    await dialog.getByRole("button", { name: "I have opened it" }).click();
    await outcome(page).waitFor();
    assert.match(await text(page).innerText(), /accept/);
  });
  await check("a call whose stream ends on the way is fetched later", async () => {
    await choose(page, "workshop__come_back");
    await send(page);
    await outcome(page).waitFor();
    assert.equal(await text(page).innerText(), "you have come back");
  });
  await check("a call is stopped, and its program ends", async () => {
    await choose(page, "workshop__measure");
    await send(page);
    await page.locator("#tool-pane .words", { hasText: "42 %" }).waitFor();
    await page.locator("#tool-pane").getByRole("button", { name: "Stop" }).click();
    await until("the outcome", async () => (await outcome(page).innerText()).startsWith("Stopped"));
    await page.getByRole("link", { name: "Now" }).click();
    await page.getByText("Nothing runs at this moment.").waitFor();
    await page.locator("#ended tbody tr", { hasText: "workshop__measure" }).filter({ hasText: "cancelled" }).first().waitFor();
  });
  await check("the keyboard keeps its place while a call runs, and after it was stopped here or on Now", async () => {
    await choose(page, "workshop__measure");
    const button = page.locator("#tool-pane button.primary");
    await button.press("Enter");
    await page.locator("#tool-pane .words", { hasText: "42 %" }).waitFor();
    assert.match(await focused(page), /primary.*aria-disabled/);
    await page.locator("#tool-pane").getByRole("button", { name: "Stop" }).press("Enter");
    await until("the outcome", async () => (await outcome(page).count()) > 0);
    assert.match(await focused(page), /Stopped after/);
    // What was stopped is gone from Now, so that it is the next call which is stopped there.
    await page.locator("#running-empty:not([hidden])").waitFor({ state: "attached" });
    await button.press("Enter");
    await page.locator("#tool-pane .words", { hasText: "42 %" }).waitFor();
    await page.getByRole("link", { name: "Now" }).press("Enter");
    await page.locator("#running li", { hasText: "smcp-page" }).getByRole("button").press("Enter");
    await page.getByText("Nothing runs at this moment.").waitFor();
    assert.match(await focused(page), /running-title/);
    await page.getByRole("link", { name: "Tools" }).press("Enter");
    await until("the outcome", async () => (await outcome(page).count()) > 0);
    assert.match(await outcome(page).innerText(), /^Stopped after/);
    assert.match(await text(page).innerText(), /stopped by a person on this server's page; the program itself did not fail/);
  });
  await check("who leaves the page while a call of it runs is asked first", async () => {
    await send(page);
    await page.locator("#tool-pane .words", { hasText: "42 %" }).waitFor();
    const asked = page.waitForEvent("dialog");
    page.reload().catch(() => {});
    const dialog = await asked;
    assert.equal(dialog.type(), "beforeunload");
    await dialog.dismiss();
    await page.locator("#tool-pane").getByRole("button", { name: "Stop" }).click();
    await until("the outcome", async () => (await outcome(page).count()) > 0);
  });
  await check("an image is shown, a link is one, and a failure is told", async () => {
    await choose(page, "workshop__draw");
    await send(page);
    const image = page.locator("#tool-pane img");
    await image.waitFor();
    assert.ok(await image.evaluate((it) => it.naturalWidth > 0 && it.src.startsWith("data:image/png") && it.alt !== ""));
    assert.equal(await page.locator("#tool-pane .linked a").getAttribute("rel"), "noopener noreferrer");
    await choose(page, "workshop__fail");
    await send(page);
    await outcome(page).waitFor();
    assert.match(await outcome(page).innerText(), /^Failed/);
    assert.match(await text(page).innerText(), /no paper in the printer/);
  });
  await check("a result of 10 MiB leaves the page usable, and can be saved whole", async () => {
    await choose(page, "workshop__print_much");
    await send(page);
    const button = page.getByRole("button", { name: "Save all of it" });
    await button.waitFor();
    assert.ok((await text(page).innerText()).length < 100_000);
    const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
    assert.equal(read(await download.path()).length, 10 * 1024 * 1024 - 1, "all but the last line break");
    await choose(page, "workshop__book");
    await page.getByLabel("city required").waitFor();
  });
  await check("everything can be done by keyboard alone", async () => {
    await page.reload();
    await ready(page);
    const press = async (key, wanted) => {
      for (let count = 0; count < 60; count++) {
        await page.keyboard.press(key);
        if (await page.evaluate(wanted)) return;
      }
      assert.fail(`${key} never leads to ${wanted}`);
    };
    await press("Tab", 'document.activeElement.hash === "#tools"');
    await page.keyboard.press("Enter");
    await press("Tab", 'document.activeElement.dataset.tool === "workshop__order"');
    await page.keyboard.press("Enter");
    await press("Tab", 'document.activeElement.matches("#tool-pane textarea, #tool-pane input")');
    await page.keyboard.type("Barbara");
    await press("Tab", 'document.activeElement.matches("#tool-pane button.primary")');
    await page.keyboard.press("Enter");
    await outcome(page).waitFor();
    assert.match(await text(page).innerText(), /Barbara/);
    assert.match(await page.locator("#said").innerText(), /workshop__order: Succeeded/, "it is said to who does not see it");
  });
  await check("nothing was complained of", () => assert.deepEqual(complaints, []));
  await close();
}

async function looking(server) {
  const { page, complaints, close } = await open(`${server.url}/ui/`);
  await ready(page);
  await check("another client's call is seen, and stopped: its client is told so", async () => {
    const answer = call(server.url, "workshop__measure");
    const row = page.locator("#running li", { hasText: "workshop__measure" });
    await row.getByText("42 % · measuring").waitFor();
    assert.match(await row.innerText(), /agent-7/);
    await row.getByRole("button", { name: "Stop workshop__measure" }).click();
    const result = await answer;
    assert.equal(result.isError, true);
    assert.equal(result.structuredContent.error.code, "stopped");
    await page.locator("#ended tbody tr", { hasText: "stopped" }).first().waitFor();
  });
  await check("of two calls that run, stopping one leads the keyboard to the other", async () => {
    const answers = [call(server.url, "workshop__measure"), call(server.url, "workshop__measure")];
    const buttons = page.locator("#running button");
    await buttons.nth(1).waitFor();
    await buttons.nth(1).press("Enter");
    await until("one is left", async () => (await buttons.count()) === 1);
    assert.ok(await buttons.evaluate((it) => it === document.activeElement));
    await page.keyboard.press("Enter");
    await Promise.all(answers);
  });
  await check("calls that ended are listed with their outcome, counted and drawn", async () => {
    await call(server.url, "workshop__fail");
    await call(server.url, "workshop__order", { name: "Ada" });
    const rows = page.locator("#ended tbody tr");
    await rows.filter({ hasText: "plugin error" }).first().waitFor();
    await rows.filter({ hasText: "ok" }).first().waitFor();
    const number = (word) => page.locator("#numbers > div").filter({ has: page.getByText(word, { exact: true }) }).locator("dd").innerText();
    const label = await page.locator("#chart-calls svg").getAttribute("aria-label");
    assert.match(label, /^5 calls in the last hour, 1 failed, 3 stopped or cancelled/);
    assert.deepEqual([await number("failed"), await number("stopped")], ["1", "3"]);
    for (const kind of ["ok", "bad", "stopped"]) {
      const heights = await page.locator(`#chart-calls rect.${kind}`).evaluateAll((all) => all.map((one) => one.height.baseVal.value));
      assert.ok(Math.max(...heights) > 0, kind);
    }
    assert.equal(await number("plugins"), "2 of 3");
  });
  await check("sessions, plugins with their faults, and the log are shown", async () => {
    await page.getByRole("link", { name: "Sessions" }).click();
    await page.locator("#sessions td", { hasText: "smcp-page" }).first().waitFor();
    await page.getByPlaceholder("Find by client, agent or id").fill("no such client");
    await page.getByText("No session.").waitFor();
    await page.getByRole("link", { name: "Plugins" }).click();
    await page.locator(".fault-card", { hasText: "broken" }).getByText("is not served").waitFor();
    await page.getByRole("link", { name: "Log" }).click();
    await page.locator("#log p", { hasText: "a call is stopped from the page" }).first().waitFor();
  });
  await check("a second tab shows the same", async () => {
    const second = await page.context().newPage();
    await second.goto(`${server.url}/ui/`);
    await ready(second);
    await second.locator("#ended tbody tr", { hasText: "plugin error" }).first().waitFor();
    await second.close();
  });
  await check("nothing is complained of", () => assert.deepEqual(complaints, []));
  await close();
}

async function hostile(server) {
  await check("what a plugin says is text, whatever it looks like", async () => {
    const { page, complaints, close } = await open(`${server.url}/ui/`);
    await ready(page);
    await choose(page, "hostile__attack");
    await send(page);
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("heading", { name: "<script>" }).waitFor();
    await dialog.getByRole("button", { name: "Answer" }).click();
    await outcome(page).waitFor();
    const shown = await page.locator("#tool-pane").innerText();
    assert.match(shown, /<script>/);
    assert.match(shown, /red ‹202e›gnp\.exe/, "colours are gone, and what turns the text is seen");
    const [images, scripts, links] = await page.evaluate(() => [
      document.querySelectorAll("#tool-pane img").length,
      document.querySelectorAll("script").length,
      [...document.querySelectorAll("a")].filter((link) => !["http:", "https:"].includes(new URL(link.href).protocol)).length,
    ]);
    assert.deepEqual([images, scripts, links], [0, 1, 0]);
    await page.getByRole("link", { name: "Now" }).click();
    assert.equal(await page.title(), "Now – smcp");
    assert.deepEqual(complaints, []);
    await close();
  });
}

async function restarted(binary) {
  const server = await new Server(binary).start();
  const lost = (line) => line.includes("net::ERR_") || line.includes("404") || line.includes("503");
  const { page, complaints, close } = await open(`${server.url}/ui/`, { expected: lost });
  await check("the page finds its server again after a restart, and new tools with it", async () => {
    await ready(page);
    await choose(page, "workshop__order");
    await server.stop();
    await page.locator('#state[data-state="lost"]').waitFor();
    server.addMany(5000);
    await server.start();
    await ready(page);
    await page.getByText("5012 tools; the first 100 are shown").waitFor();
    assert.equal(await page.locator("#tool-list li").count(), 100);
    await page.getByPlaceholder("Find a tool").fill("number 4321");
    await page.locator('#tool-list button[data-tool="many__tool_4321"]').click();
    await send(page);
    await outcome(page).waitFor();
    assert.equal(await text(page).innerText(), "tool_4321");
  });
  await check("nothing but the lost connection is complained of", () => assert.deepEqual(complaints, []));
  await close();
  await server.end();
}

async function keys(binary) {
  const server = new Server(binary, { plugins: ["workshop"] });
  const file = join(server.home, "keys");
  const [ada, bob] = ["key-of-ada-1", "key-of-bob-2"];
  writeFileSync(file, `${ada}\n${bob}\n`, { mode: 0o600 });
  server.settings = { MCP_API_KEYS_FILE: file, MCP_AUTH_ALLOW_LOOPBACK: "0" };
  await server.start();
  const refused = (line) => line.includes("401") || line.includes("net::ERR_");
  const { page, complaints, close } = await open(`${server.url}/ui/`, { expected: refused });
  const signIn = async (key) => {
    await page.getByLabel("Key").fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await check("a key is asked for, and a wrong one is refused", async () => {
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await axe(page, "the sign-in form");
    await signIn("wrong");
    await page.getByText("The server does not know this key.").waitFor();
    await signIn(ada);
    await ready(page);
  });
  await check("the key is in no address, no cookie and no storage that lasts", async () => {
    const [address, cookie, lasting] = await page.evaluate(() => [location.href, document.cookie, Object.keys(localStorage).length]);
    assert.deepEqual([address.includes(ada), cookie, lasting], [false, "", 0]);
    assert.ok(!server.said.includes(ada));
  });
  await check("one of several keys sees its own calls, and neither others nor the log", async () => {
    await call(server.url, "workshop__order", { name: "of-bob" }, bob);
    await call(server.url, "workshop__fail", {}, ada);
    await page.locator("#ended tbody tr", { hasText: "workshop__fail" }).waitFor();
    assert.equal(await page.locator("#ended tbody tr", { hasText: "workshop__order" }).count(), 0);
    await page.getByText("You see your own calls and sessions").waitFor();
    await page.getByRole("link", { name: "Log" }).click();
    await page.getByText("The log tells of all clients.").waitFor();
    assert.ok(await page.locator("#log").isHidden());
  });
  await check("a session that is being opened while somebody signs out is not used with the next key", async () => {
    const visit = await open(`${server.url}/ui/`, { expected: refused });
    const owners = new Map();
    const wrong = [];
    let let_go;
    const gate = new Promise((go) => (let_go = go));
    let held = false;
    await visit.page.route("**/mcp", async (route) => {
      const headers = route.request().headers();
      const session = headers["mcp-session-id"];
      if (session && owners.get(session) !== headers["x-api-key"]) wrong.push(`${route.request().method()} with the session of another key`);
      const answer = await route.fetch();
      if (answer.headers()["mcp-session-id"]) owners.set(answer.headers()["mcp-session-id"], headers["x-api-key"]);
      if (!held) {
        held = true;
        await gate;
      }
      await route.fulfill({ response: answer });
    });
    const sign = async (key) => {
      await visit.page.getByLabel("Key").fill(key);
      await visit.page.getByRole("button", { name: "Sign in" }).click();
    };
    await sign(ada);
    await until("the session is being opened", () => held);
    await visit.page.getByRole("button", { name: "Sign out" }).click();
    await sign(bob);
    await until("a session for the next key", () => [...owners.values()].includes(bob));
    let_go();
    await visit.page.locator("#tools-count", { hasText: "12 tools" }).waitFor({ state: "attached" });
    await until("the first session is ended", () => wrong.length > 0 || owners.size === 2);
    assert.deepEqual([wrong, visit.complaints], [[], []]);
    await visit.close();
  });
  await check("a key that is taken away ends the visit", async () => {
    writeFileSync(file, `${bob}\n`, { mode: 0o600 });
    server.process.kill("SIGHUP");
    await page.getByText("The server does not know this key.").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    await signIn(bob);
    await ready(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });
  await check("who needs no key can sign in all the same", async () => {
    await server.stop();
    server.settings = { MCP_API_KEYS_FILE: file };
    await server.start();
    await page.goto(`${server.url}/ui/`);
    await ready(page);
    await page.getByText("You see your own calls and sessions").waitFor();
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Without a key" }).click();
    await ready(page);
    await page.getByRole("button", { name: "Sign in" }).click();
    await signIn("wrong");
    await page.getByText("The server does not know this key.").waitFor();
    await signIn(bob);
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    await page.getByText("You see your own calls and sessions").waitFor({ state: "hidden" });
  });
  await check("nothing but refused keys is complained of", () => assert.deepEqual(complaints, []));
  await close();
  await server.end();
}

async function proxied(server) {
  await check("the page works below a prefix that a proxy takes off", async () => {
    const between = await proxy(server.url, "/tools/smcp");
    const { page, complaints, close } = await open(`${between.url}/ui`);
    await ready(page);
    assert.equal(new URL(page.url()).pathname, "/tools/smcp/ui/");
    await choose(page, "workshop__order");
    await page.getByLabel("name required").fill("Ada");
    await send(page);
    await outcome(page).waitFor();
    assert.match(await outcome(page).innerText(), /^Succeeded/);
    assert.deepEqual(complaints, []);
    await close();
    between.close();
  });
}

async function accessible(server) {
  await check("with much zoom the head leaves room to read, and every part can be reached", async () => {
    const { page, close } = await open(`${server.url}/ui/`, { width: 320, height: 256 });
    await ready(page);
    for (const link of await page.locator("#nav a").all()) assert.ok(await link.evaluate((it) => it.getBoundingClientRect().right <= innerWidth), "a part is outside of the window");
    await page.locator("#ended-empty, #ended").last().evaluate(() => scrollTo(0, document.body.scrollHeight));
    assert.ok(await page.locator(".top").evaluate((it) => it.getBoundingClientRect().bottom <= 0), "the head stays in the way");
    await close();
  });
  await check("with colours of the system the part that is shown, and what the charts mean, can still be told", async () => {
    const { page, close } = await open(`${server.url}/ui/`, { forced: true });
    await ready(page);
    const border = (of) => page.locator(of).first().evaluate((it) => getComputedStyle(it).borderBottomColor);
    assert.notEqual(await border("#nav a[aria-current]"), await border("#nav a:not([aria-current])"));
    const [canvas, ...marks] = await page.evaluate(() => [document.body, ...document.querySelectorAll(".legend i")].map((it) => getComputedStyle(it).backgroundColor));
    assert.ok(marks.length === 5 && !marks.includes(canvas), `${marks} on ${canvas}`);
    assert.equal(new Set(marks.slice(0, 3)).size, 3, `${marks}`);
    await close();
  });
  for (const [name, width, dark] of [["light", 1200, false], ["dark", 1200, true], ["light, 320 px wide", 320, false], ["dark, 320 px wide", 320, true]]) {
    await check(`axe finds nothing: ${name}`, async () => {
      const { page, close } = await open(`${server.url}/ui/`, { width, dark });
      await ready(page);
      const running = call(server.url, "workshop__measure");
      const stop = page.getByRole("button", { name: "Stop workshop__measure" }).first();
      await stop.waitFor();
      for (const view of ["now", "tools", "sessions", "plugins", "log"]) {
        await page.goto(`${server.url}/ui/#${view}`);
        await page.locator(`#view-${view}`).waitFor();
        if (view === "tools") await page.locator('#tool-list button[data-tool="workshop__order"]').click();
        await axe(page, view);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${view} is wider than the window`);
      }
      await page.goto(`${server.url}/ui/#now`);
      await stop.click();
      await running;
      await close();
    });
  }
}

/** The pictures of docs/page.md. */
async function pictures(server) {
  for (const dark of [false, true]) {
    const { page, close } = await open(`${server.url}/ui/`, { dark, width: 1000, height: 820 });
    await ready(page);
    const calls = [call(server.url, "workshop__copy_files", { files: 300 }), call(server.url, "workshop__measure")];
    for (let count = 0; count < 12; count++) await call(server.url, "workshop__order", { name: "Ada" });
    await page.locator("#running li").nth(1).waitFor();
    await page.waitForTimeout(6000);
    const shot = (name) => page.screenshot({ path: `docs/pictures/page-${name}-${dark ? "dark" : "light"}.png` });
    await shot("now");
    for (const button of await page.locator("#running button").all()) await button.click();
    await Promise.all(calls);
    await choose(page, "workshop__order");
    await page.getByLabel("name required").fill("Ada");
    await send(page);
    await outcome(page).waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await shot("tool");
    await choose(page, "workshop__book");
    await page.getByLabel("city required").fill("Vienna");
    await send(page);
    await page.getByRole("dialog").waitFor();
    await shot("question");
    await close();
  }
}

if (PICTURES) {
  const server = await new Server(binary, { plugins: ["workshop", "broken"] }).start();
  await pictures(server).finally(() => server.end());
}
/** Parts that use one server after the other. */
async function onOne(...parts) {
  const server = await new Server(binary, { plugins: ["workshop", "hostile", "broken"] }).start();
  try {
    for (const part of parts) await part(server);
  } finally {
    await server.end();
  }
}

// Side by side, for most of the time is waiting.
const groups = [onOne(tools, hostile, proxied), onOne(looking, accessible), restarted(binary).then(() => keys(binary))];
for (const group of await Promise.allSettled(groups)) {
  if (group.status === "rejected") faults.push(String(group.reason?.message ?? group.reason).split("\n")[0]);
}
await browser.close();
if (faults.length) {
  console.log(`page: ${faults.length} failed: ${faults.join("; ")}`);
  process.exit(1);
}
console.log("page: all passed");
