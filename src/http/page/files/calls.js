// What runs now, what ended last, sessions, plugins and the log: everything that is only looked at.

import * as charts from "./charts.js";
import { byId, clock, cut, el, fill, plain, since, took } from "./dom.js";

// Ends of calls, and lines, that are kept.
const ENDED = 200;
const LINES = 300;

let ended = [];
let lines = [];
let stopCall = () => {};

/** What is known already, for the next question to the server. */
export const known = () => ({ calls: ended[0]?.number ?? 0, log: lines.at(-1)?.number ?? 0 });

/** Begins. `stop` stops the call with an id. */
export function start(stop) {
  stopCall = stop;
  byId("log-level").addEventListener("change", () => log([]));
}

/** Forgets everything: another server, or another key. */
export function clear() {
  ended = [];
  lines = [];
  for (const id of ["running", "faults", "log"]) byId(id).replaceChildren();
  for (const place of document.querySelectorAll("[data-seen]")) delete place.dataset.seen;
}

/** Shows a state of the server. */
export function show(state) {
  numbers(state.counts);
  byId("own-note").hidden = state.view === "all";
  const now = Math.floor(state.server.now / 60_000);
  fill(byId("chart-calls"), [state.minutes, now], () => charts.calls(state.minutes, now));
  fill(byId("chart-took"), [state.minutes, now], () => charts.durations(state.minutes, now));
  running(state.running);
  ended = [...state.ended.reverse(), ...ended].slice(0, ENDED);
  table("ended", ended, (call) => [name(call), outcome(call.outcome), took(call.took), who(call), clock(call.began + call.took)]);
  sessions(state.sessions);
  plugins(state);
  byId("log-note").hidden = state.log !== undefined;
  byId("log-tools").hidden = byId("log").hidden = state.log === undefined;
  if (state.log) log(state.log);
}

const NUMBERS = { running: "running", waiting: "waiting", sessions: "sessions", tools: "tools", plugins: "plugins", calls: "calls so far", failed: "failed", stopped: "stopped" };

function numbers(counts) {
  const { plugins, unserved } = counts;
  const more = (key) => (key === "plugins" && unserved > 0 ? el("small", {}, ` of ${(plugins + unserved).toLocaleString()}`) : null);
  const kind = (key) => ((key === "failed" && counts.failed > 0) || (key === "plugins" && unserved > 0) ? "bad" : "");
  fill(byId("numbers"), counts, () =>
    Object.entries(NUMBERS).map(([key, word]) => el("div", { className: kind(key) }, el("dt", {}, word), el("dd", {}, counts[key].toLocaleString(), more(key)))),
  );
}

const name = (call) => (call.method === "tools/call" ? el("code", {}, plain(call.name)) : [el("code", {}, plain(call.name)), el("span", { className: "muted" }, ` ${call.method}`)]);
const outcome = (word) => el("span", { className: `badge ${word === "ok" ? "ok" : word === "cancelled" || word === "stopped" ? "" : "bad"}` }, plain(word.replaceAll("_", " ")));
const who = (call) => cut([call.client, call.agent].filter(Boolean).map(plain).join(" · ") || call.transport, 60);

/** The calls that run. Each keeps its elements, so that its button can be pressed. */
function running({ total, shown }) {
  const list = byId("running");
  const items = new Map([...list.children].map((item) => [item.dataset.call, item]));
  for (const one of shown) {
    const item = items.get(one.call.id) ?? list.appendChild(runningItem(one));
    items.delete(one.call.id);
    const { progress, total: of, message } = one.progress;
    item.querySelector(".took").textContent = took(one.took);
    const bar = item.querySelector("progress");
    if (of > 0 && progress !== undefined) {
      bar.max = of;
      bar.value = progress;
    }
    const share = progress === undefined ? "" : of > 0 ? `${Math.round((progress / of) * 100)} %` : String(progress);
    const words = one.stopped ? "is being stopped" : one.asking ? "waits for an answer of its client" : [share, message && plain(message)].filter(Boolean).join(" · ");
    const at = item.querySelector(".words");
    if (at.textContent !== words) at.textContent = words;
    // Not disabled, which would take the focus from who pressed it by keyboard.
    item.querySelector("button").setAttribute("aria-disabled", String(one.stopped));
  }
  const lost = [...items.values()].find((item) => item.contains(document.activeElement));
  const near = lost && (beside(lost, "nextElementSibling", items) ?? beside(lost, "previousElementSibling", items));
  for (const item of items.values()) item.remove();
  if (lost) (near?.querySelector("button") ?? byId("running-title")).focus();
  byId("running-count").textContent = total > shown.length ? `${total}, the first ${shown.length} are shown` : total || "";
  byId("running-empty").hidden = total > 0;
}

/** The next item that stays. */
function beside(item, way, leaving) {
  let next = item[way];
  while (next && leaving.has(next.dataset.call)) next = next[way];
  return next;
}

function runningItem({ call }) {
  const label = `Stop ${plain(call.name)}`;
  const stop = el("button", { type: "button", className: "danger", "aria-label": label, on: { click: () => stopCall(call.id) } }, "Stop");
  const line = el("div", { className: "line" }, name(call), el("span", { className: "muted" }, who(call)), el("span", { className: "took muted" }), stop);
  const item = el("li", { className: "card" }, line, el("progress", { "aria-label": `Progress of ${plain(call.name)}` }), el("p", { className: "words muted" }));
  item.dataset.call = call.id;
  return item;
}

function table(id, rows, cells) {
  const place = byId(id);
  byId(`${id}-empty`).hidden = rows.length > 0;
  place.parentElement.hidden = rows.length === 0;
  const numeric = [...place.tHead.rows[0].cells].map((cell) => cell.className);
  const made = () => rows.map((row) => el("tr", {}, cells(row).map((cell, at) => el("td", { className: numeric[at] }, cell))));
  fill(place.tBodies[0], rows, made);
}

function sessions({ total, shown }) {
  byId("sessions-count").textContent = total > shown.length ? `${total}, the ${shown.length} used last are shown` : total || "";
  const idle = (one) => (one.idle < 2 ? "in use" : since(one.idle));
  table("sessions", shown, (one) => [plain(one.client ?? "—"), el("code", {}, one.session), one.transport, plain(one.agent ?? "—"), one.key ? el("code", {}, one.key) : "—", since(one.open), idle(one)]);
}

const KINDS = { unserved: "is not served", outdated: "is served as before", part: "is not served" };

function plugins({ plugins: { total, shown }, counts: { unserved }, faults, services }) {
  const served = unserved > 0 ? `${total} of ${total + unserved} are served` : total || "";
  byId("plugins-count").textContent = total > shown.length ? `${served}, the first ${shown.length} are shown` : served;
  const warnings = shown.flatMap((one) => one.warnings.map((reason) => ({ kind: "warning", name: one.name, reason })));
  fill(byId("faults"), [faults, warnings], () =>
    [...faults, ...warnings].map((fault) =>
      el("div", { className: `fault-card ${fault.kind === "warning" ? "warning" : ""}` }, el("p", {}, el("strong", {}, plain(fault.name)), ` ${KINDS[fault.kind] ?? "has a warning"}`), el("p", { className: "reason" }, plain(fault.reason))),
    ),
  );
  const service = (plugin) => services.filter((one) => one.plugin === plugin.name).map((one) => `${plain(one.name)}: ${one.state}${one.starts > 1 ? `, started ${one.starts} times` : ""}`).join("; ") || "—";
  table("plugins", shown, (one) => [el("code", {}, plain(one.name)), String(one.tools), one.source, service(one)]);
}

function log(newer) {
  const place = byId("log");
  const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 30;
  lines = [...lines, ...newer].slice(-LINES);
  const shown = byId("log-level").value === "warn" ? lines.filter((line) => line.level !== "INFO") : lines;
  fill(place, [shown.at(0)?.number, shown.at(-1)?.number, shown.length], () =>
    shown.map((line) => el("p", { className: line.level.toLowerCase() }, el("time", {}, clock(line.time)), el("span", { className: "level" }, line.level), el("span", { className: "text" }, plain(line.text)))),
  );
  if (atEnd) place.scrollTop = place.scrollHeight;
}
