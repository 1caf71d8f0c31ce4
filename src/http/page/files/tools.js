// Tools: the list, a form to try one, its progress and questions, and what it gave.

import { byId, cut, el, plain, say, took } from "./dom.js";
import { form, sends } from "./form.js";
import { indented, json } from "./json.js";
import { address, result } from "./result.js";

// Tools that are listed at once.
const LISTED = 100;
// Calls of this page at once: a browser has six connections to a server, for all its tabs.
const AT_ONCE = 3;
// Panes that are kept with what was filled in.
const KEPT = 20;

let client;
let tools = [];
let chosen = null;
const panes = new Map();
let calls = 0;

/** Begins with a client of the server. */
export function start(given) {
  client = given;
  byId("find-tool").addEventListener("input", list);
}

/** Asks for the tools; keeps what is filled in of those that are still the same. */
export async function load() {
  tools = (await client.listTools()).filter((tool) => typeof tool?.name === "string");
  for (const [name, pane] of panes) {
    const now = tools.find((tool) => tool.name === name);
    if (!pane.running && JSON.stringify(now) !== pane.made) panes.delete(name);
  }
  list();
  if (chosen !== null) show(chosen, false);
}

/** Forgets everything, for another key may see other tools. */
export function clear() {
  for (const pane of panes.values()) pane.stop?.abort();
  panes.clear();
  tools = [];
  chosen = null;
  list();
}

function list() {
  const words = byId("find-tool").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (tool) => `${tool.name} ${tool.title ?? ""} ${tool.description ?? ""}`.toLowerCase();
  const found = tools.filter((tool) => words.every((word) => text(tool).includes(word)));
  const shown = found.slice(0, LISTED);
  const more = found.length > LISTED ? `; the first ${LISTED} are shown` : "";
  byId("tools-count").textContent = words.length ? `${found.length} of ${tools.length} tools${more}` : `${tools.length} tools${more}`;
  const focused = byId("tool-list").contains(document.activeElement) ? document.activeElement.dataset.tool : null;
  byId("tool-list").replaceChildren(
    ...shown.map((tool) => {
      const choose = () => show(tool.name, true);
      const description = el("span", { className: "muted" }, cut(plain(tool.description ?? ""), 90));
      const button = el("button", { type: "button", on: { click: choose } }, el("span", { className: "name" }, plain(tool.name)), description);
      button.dataset.tool = tool.name;
      if (tool.name === chosen) button.setAttribute("aria-current", "true");
      return el("li", {}, button);
    }),
  );
  if (focused !== null) ([...byId("tool-list").querySelectorAll("button")].find((one) => one.dataset.tool === focused) ?? byId("find-tool")).focus();
}

function show(name, focus) {
  chosen = name;
  const tool = tools.find((one) => one.name === name);
  if (!panes.has(name) && tool) {
    const oldest = [...panes].find(([, pane]) => !pane.running);
    if (panes.size >= KEPT && oldest) panes.delete(oldest[0]);
    panes.set(name, pane(tool));
  }
  const shown = panes.get(name)?.element ?? el("p", { className: "empty", tabIndex: -1 }, `${cut(plain(name), 80)} is not served any more.`);
  const place = byId("tool-pane");
  const lost = place.contains(document.activeElement) && place.firstElementChild !== shown;
  if (place.firstElementChild !== shown) place.replaceChildren(shown);
  if (lost) (shown.querySelector("h2") ?? shown).focus({ preventScroll: true });
  for (const button of byId("tool-list").querySelectorAll("button")) {
    if (button.dataset.tool === name) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  if (focus) {
    shown.querySelector("h2")?.focus({ preventScroll: true });
    if (place.getBoundingClientRect().top > innerHeight * 0.6) place.scrollIntoView();
  }
}

function hints(tool) {
  const said = tool.annotations ?? {};
  if (said.readOnlyHint === true) return "It only reads, says its author.";
  if (said.destructiveHint === true) return "It may change or delete things, says its author.";
  return null;
}

/** The description; of a long one the beginning, with a way to the rest. */
function described(text) {
  const paragraph = (words) => el("p", { className: "description" }, words);
  if (text.length <= 700) return [text ? paragraph(text) : null];
  return [paragraph(cut(text, 500)), el("details", {}, el("summary", {}, "All of the description"), paragraph(cut(text, 20_000)))];
}

function pane(tool) {
  const fields = form(tool.inputSchema);
  const given = el("div", { className: "fields" }, fields.elements);
  if (!fields.elements.length) given.append(el("p", { className: "muted" }, "It takes no arguments."));
  const whole = el("textarea", { className: "code", rows: 8, spellcheck: false, "aria-label": "Arguments as JSON" });
  const fault = el("p", { className: "fault", role: "alert" });
  const as = el("button", { type: "button", className: "quiet", "aria-pressed": "false" }, "As JSON");
  const send = el("button", { className: "primary" }, "Call");
  const output = el("div", { className: "output" });
  const head = [
    el("h2", { tabIndex: -1 }, plain(tool.name)),
    tool.title && tool.title !== tool.name ? el("p", { className: "title" }, plain(tool.title)) : null,
    ...described(plain(tool.description ?? "")),
    hints(tool) ? el("p", { className: "muted small" }, hints(tool)) : null,
  ];
  const body = el("form", { noValidate: true }, given, fault, el("div", { className: "buttons" }, send, as));
  const made = { element: el("div", {}, head, body, output), made: JSON.stringify(tool), running: false };
  // What the fields said as JSON, while it is shown so; else null.
  let raw = null;
  const refuse = (words) => {
    fault.textContent = words;
    whole.focus();
    return null;
  };
  const object = () => {
    const text = json(whole.value);
    if (text.fault) return refuse(text.fault);
    return text.json.trim().startsWith("{") ? text.json : refuse("Arguments are an object: { … }.");
  };
  as.addEventListener("click", () => {
    fault.textContent = "";
    if (raw === null) {
      const { text, left } = fields.filled();
      raw = whole.value = indented(text);
      if (left.length) fault.textContent = `Not in this JSON, for it is not right yet: ${plain(left.join(" "))}`;
    } else {
      if (whole.value !== raw) {
        const text = object();
        if (text === null) return;
        const not = fields.take(text);
        if (not.length) return refuse(`The form cannot show this value of ${cut(plain(not.join(", ")), 200)}. It can be sent as it is here.`);
      }
      raw = null;
    }
    as.setAttribute("aria-pressed", String(raw !== null));
    given.replaceChildren(...(raw === null ? fields.elements : [whole]));
  });
  const read = () => (raw === null ? fields.read() : object());
  body.addEventListener("keydown", sends);
  body.addEventListener("submit", (event) => {
    event.preventDefault();
    if (made.running) return;
    fault.textContent = "";
    const text = read();
    if (text === null) return;
    if (calls >= AT_ONCE) {
      fault.textContent = `${AT_ONCE} calls of this page run already; wait for one, or stop it.`;
      return;
    }
    run(tool, text, made, send, output);
  });
  return made;
}

/** Counts the calls of this page. While one runs, the browser asks before it leaves, for that ends the call. */
function count(more) {
  calls += more;
  if (calls > 0) addEventListener("beforeunload", stay);
  else removeEventListener("beforeunload", stay);
}

const stay = (event) => event.preventDefault();

/** One call, from the button to its result. */
async function run(tool, text, made, send, output) {
  const stop = new AbortController();
  const began = performance.now();
  const words = el("span", { className: "words" }, "Running…");
  const bar = el("progress", { "aria-label": `Progress of ${tool.name}` });
  const time = el("span", { className: "muted" });
  const end = el("button", { type: "button", className: "danger", on: { click: () => stop.abort() } }, "Stop");
  output.replaceChildren(el("div", { className: "running-now" }, el("div", { className: "line" }, words, time, end), bar));
  const clock = setInterval(() => (time.textContent = took(performance.now() - began)), 500);
  output.scrollIntoView({ block: "nearest" });
  made.running = true;
  made.stop = stop;
  // Not disabled, which would take the focus from who presses it by keyboard.
  send.setAttribute("aria-disabled", "true");
  count(1);
  const progress = ({ progress, total, message }) => {
    if (Number.isFinite(progress) && total > 0) {
      bar.max = total;
      bar.value = progress;
    }
    const share = total > 0 ? `${Math.round((progress / total) * 100)} %` : `${progress}`;
    words.textContent = [share, message].filter((word) => typeof word === "string" && word !== "").map((word) => cut(plain(word), 200)).join(" · ");
  };
  const question = (params) => ask(tool.name, params, stop.signal);
  let outcome;
  let parts;
  try {
    const gave = await client.callTool(tool.name, text, { progress, question }, stop.signal);
    const stopped = gave.isError === true && gave.structuredContent?.error?.code === "stopped";
    outcome = stopped ? ["stopped", "Stopped"] : gave.isError === true ? ["failed", "Failed"] : ["ok", "Succeeded"];
    parts = result(gave);
  } catch (fault) {
    outcome = stop.signal.aborted ? ["stopped", "Stopped"] : ["failed", "Failed"];
    parts = stop.signal.aborted ? [] : [el("p", {}, cut(plain(fault.message), 2000))];
  } finally {
    clearInterval(clock);
    made.running = false;
    send.removeAttribute("aria-disabled");
    count(-1);
    // A question that is still open has nobody to answer.
    if (!stop.signal.aborted) stop.abort();
  }
  const [kind, word] = outcome;
  const after = took(performance.now() - began);
  const focused = output.contains(document.activeElement);
  const head = el("h3", { className: `outcome ${kind}`, tabIndex: -1 }, `${word} after ${after}`);
  output.replaceChildren(head, ...parts);
  head.scrollIntoView({ block: "nearest" });
  if (focused) head.focus();
  say(`${plain(tool.name)}: ${word} after ${after}`);
}

let asking = Promise.resolve();

/** Asks the person in front of the page, one question after the other. */
function ask(tool, params, signal) {
  const answer = asking.then(() => (signal.aborted ? { action: "cancel" } : shown(tool, params, signal)));
  asking = answer.catch(() => {});
  return answer;
}

function shown(tool, params, signal) {
  const dialog = byId("question");
  return new Promise((answer) => {
    const done = (result) => {
      signal.removeEventListener("abort", away);
      dialog.onclose = null;
      dialog.close();
      dialog.replaceChildren();
      answer(result);
    };
    const away = () => done({ action: "cancel" });
    signal.addEventListener("abort", away, { once: true });
    // The key Escape closes it.
    dialog.onclose = away;
    const byUrl = params.mode === "url";
    const fields = byUrl ? null : form(params.requestedSchema, true);
    const accept = (event) => {
      event.preventDefault();
      const text = fields ? fields.read() : "{}";
      if (text !== null) done(fields ? { action: "accept", content: JSON.parse(text) } : { action: "accept" });
    };
    const decline = el("button", { type: "button", on: { click: () => done({ action: "decline" }) } }, "Decline");
    dialog.replaceChildren(
      el("form", { noValidate: true, on: { submit: accept, keydown: sends } },
        el("p", { className: "muted small" }, `${cut(plain(tool), 100)} asks`),
        el("h2", { id: "question-title" }, cut(plain(params.message ?? "A question"), 2000)),
        byUrl ? el("p", {}, "It wants you to open this address: ", address(String(params.url ?? ""))) : el("div", { className: "fields" }, fields.elements),
        el("p", { className: "muted small" }, "The answer goes to the plugin. Do not give it what it need not know."),
        el("div", { className: "buttons" }, el("button", { className: "primary" }, byUrl ? "I have opened it" : "Answer"), decline),
      ),
    );
    dialog.showModal();
    (fields?.first ?? dialog.querySelector("button")).focus();
  });
}
