// Elements, and texts from elsewhere made fit to be shown. Nothing here reads a text as HTML.

/** An element with properties, attributes (with a hyphen, or `role`, `for`) and children. */
export function el(name, given = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (key.includes("-") || key === "role" || key === "for" || key === "list") element.setAttribute(key, value === true ? "" : value);
    else element[key] = value;
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A text without what steers a terminal; what else is invisible, or turns the direction of text, is shown as its number. */
export function plain(text) {
  return String(text)
    .replace(/\r\n/g, "\n")
    .replace(/\u001b\[[0-9;:?]*[ -/]*[@-~]/g, "")
    .replace(HIDDEN, (sign) => `\u2039${sign.codePointAt(0).toString(16).padStart(4, "0")}\u203a`);
}

/** The beginning of a text. */
export const cut = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

/** A time in milliseconds, for people. */
export function took(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  return since(ms / 1000);
}

/** A time in seconds, for people. */
export function since(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** A size in bytes, for people. */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Says something to who does not see the page. */
export function say(text) {
  byId("said").textContent = text;
}

/** Replaces what `parent` has, unless it would be the same again: what is focused or selected stays so. */
export function fill(parent, seen, make) {
  const now = JSON.stringify(seen);
  if (parent.dataset.seen === now) return;
  parent.dataset.seen = now;
  parent.replaceChildren(...make());
}

/** Offers a text or bytes as a file. */
export function save(content, type, name) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
