// The page: who signs in, which part is shown, and the question "what is now?" once a second while somebody looks.

import * as calls from "./calls.js";
import { byId, cut, plain, say, since } from "./dom.js";
import { Client, Refused } from "./mcp.js";
import * as tools from "./tools.js";

const EVERY = 1000;
// The longest pause between two attempts to reach a server that does not answer.
const PATIENCE = 5000;
const ANSWER = 10_000;
const VIEWS = ["now", "tools", "sessions", "plugins", "log"];
// Other pages of the same host have other keys.
const KEPT = `smcp key ${location.pathname}`;

let key = sessionStorage.getItem(KEPT);
let start = null;
let catalogue = null;
let faults = 0;
let timer = null;
// Whether the person is about to sign in, though the server shows something without a key.
let signsIn = false;
let asking = null;

// Relative, so that it works behind a proxy, below any prefix.
const client = new Client("../mcp", () => key);

// Not in the header `Authorization`, which may be a proxy's; and a wrong one is always refused.
const headers = () => (key ? { "X-API-Key": key } : {});

async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers }, signal: AbortSignal.timeout(ANSWER), cache: "no-store" });
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({}));
  throw new Refused(typeof said.message === "string" ? said.message : `the server answers ${response.status}`, response.status);
}

async function look() {
  clearTimeout(timer);
  if (asking || signsIn || document.hidden) return;
  const { calls: last, log } = calls.known();
  const find = encodeURIComponent(byId("find-session").value);
  const asked = (asking = { key });
  try {
    const state = await ask(`state?calls=${last}&log=${log}&find=${find}`);
    // Signed out or in meanwhile: this is another key's answer.
    if (asked.key === key && !signsIn) await show(state);
    faults = 0;
  } catch (fault) {
    if (asked.key === key && !signsIn) failed(fault);
  } finally {
    if (asking === asked) asking = null;
  }
  if (!byId("nav").hidden || faults > 0) timer = setTimeout(look, faults ? Math.min(EVERY * 2 ** (faults - 1), PATIENCE) : EVERY);
}

async function show(state) {
  if (start !== null && start !== state.server.start) {
    // Another start of the server: it counts from one again, and has no session of ours.
    start = null;
    catalogue = null;
    calls.clear();
    client.forget();
    timer = setTimeout(look, 0);
    return;
  }
  start = state.server.start;
  signedIn(state.view);
  const { version, status, uptime } = state.server;
  const words = { ready: "Running", loading: "Asking plugins", draining: "Shutting down" }[status] ?? status;
  tell(status === "ready" ? "ready" : "waiting", `${words} · ${version} · up ${since(uptime)}`);
  calls.show(state);
  if (catalogue !== state.server.catalogue && status !== "draining") {
    await tools.load();
    catalogue = state.server.catalogue;
  }
}

function tell(kind, text) {
  const place = byId("state");
  // A time that goes on is no news for who listens.
  place.setAttribute("aria-live", place.dataset.state === kind ? "off" : "polite");
  place.dataset.state = kind;
  byId("state-text").textContent = text;
}

function failed(fault) {
  if (fault.status === 401) return signIn();
  faults += 1;
  const status = fault instanceof Refused && fault.status;
  tell("lost", status ? cut(plain(fault.message), 200) : "No connection; trying again");
}

function signIn(optional = false) {
  faults = 0;
  signsIn = optional;
  byId("no-key").hidden = !optional;
  const had = key !== null;
  forgetKey();
  byId("nav").hidden = true;
  byId("sign-out").hidden = true;
  for (const view of VIEWS) byId(`view-${view}`).hidden = true;
  byId("sign-in").hidden = false;
  byId("key-fault").textContent = had ? "The server does not know this key." : "";
  tell("waiting", "Needs a key");
  byId("key").focus();
}

function forgetKey() {
  key = null;
  start = null;
  catalogue = null;
  sessionStorage.removeItem(KEPT);
  client.forget();
  tools.clear();
  calls.clear();
}

function signedIn(seen) {
  const button = byId("sign-out");
  button.hidden = key === null && seen === "all";
  button.textContent = key === null ? "Sign in" : "Sign out";
  if (!byId("nav").hidden) return;
  const focused = byId("sign-in").contains(document.activeElement);
  byId("sign-in").hidden = true;
  byId("nav").hidden = false;
  view();
  if (focused) byId("main").focus({ preventScroll: true });
}

function view() {
  if (byId("nav").hidden) return;
  const wanted = VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "now";
  for (const one of VIEWS) byId(`view-${one}`).hidden = one !== wanted;
  for (const link of byId("nav").children) {
    if (link.hash === `#${wanted}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${wanted[0].toUpperCase()}${wanted.slice(1)} – smcp`;
}

async function stop(call) {
  try {
    await ask("stop", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ call }) });
    say("The call is being stopped.");
  } catch (fault) {
    // It has ended by itself meanwhile.
    if (fault.status !== 404) failed(fault);
  }
  look();
}

byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("key").value.trim();
  if (!/^[\x20-\x7e]+$/.test(given)) {
    byId("key-fault").textContent = given ? "A key has letters, digits and signs of ASCII only." : "Write the key.";
    return;
  }
  byId("key").value = "";
  byId("key-fault").textContent = "";
  key = given;
  sessionStorage.setItem(KEPT, key);
  again();
});
byId("no-key").addEventListener("click", again);
byId("sign-out").addEventListener("click", () => {
  client.close();
  if (key === null) return signIn(true);
  forgetKey();
  byId("nav").hidden = true;
  again();
});

/** Asks with the key of this moment, whatever was asked before. */
function again() {
  signsIn = false;
  asking = null;
  look();
}

byId("find-session").addEventListener("input", look);
addEventListener("hashchange", () => {
  view();
  // The browser goes to what has this name, below the head of the page.
  scrollTo(0, 0);
});
document.addEventListener("visibilitychange", look);
addEventListener("pagehide", () => client.close());

calls.start(stop);
tools.start(client);
look();
