// What a call gave, as elements: whatever it is, it is shown as text, or as an image or a sound of a known type.

import { cut, el, plain, save, size } from "./dom.js";
import { indented } from "./json.js";

// Characters of a text that are shown at once.
const SHOWN = 50_000;
const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];
const SOUNDS = ["audio/mpeg", "audio/mp3", "audio/wav", "audio/x-wav", "audio/ogg", "audio/webm", "audio/flac", "audio/mp4", "audio/aac"];
const BASE64 = /^[A-Za-z0-9+/=\s]*$/;

/** The result of `tools/call`. */
export function result(given) {
  const blocks = Array.isArray(given.content) ? given.content : [];
  const parts = blocks.slice(0, 100).map((block, at) => part(block ?? {}, at + 1));
  if (blocks.length > 100) parts.push(note(`${blocks.length - 100} more parts are not shown.`));
  if (given.structuredContent !== undefined && !repeats(blocks, given.structuredContent)) {
    const shown = text(JSON.stringify(given.structuredContent, null, 2));
    parts.push(el("details", { open: blocks.length === 0 }, el("summary", {}, "Structured content"), shown));
  }
  return parts.length ? parts : [note("It gave nothing.")];
}

const note = (words) => el("p", { className: "muted" }, words);

/** Whether the only text says the same as the structured content. */
function repeats(blocks, structured) {
  if (blocks.length !== 1 || blocks[0]?.type !== "text" || String(blocks[0].text).length > 1_000_000) return false;
  try {
    return JSON.stringify(JSON.parse(blocks[0].text)) === JSON.stringify(structured);
  } catch {
    return false;
  }
}

function part(block, at) {
  if (block.type === "text") return text(String(block.text ?? ""));
  if (block.type === "image") return media(block, at, IMAGES, "image");
  if (block.type === "audio") return media(block, at, SOUNDS, "sound");
  if (block.type === "resource_link") return link(block);
  if (block.type === "resource") return resource(block.resource ?? {}, at);
  return text(JSON.stringify(block, null, 2));
}

/** A text, its beginning where it is long, with a way to the rest. */
function text(whole) {
  const pretty = whole.length < 200_000 && /^\s*[[{]/.test(whole) ? indented(whole) : whole;
  const pre = el("pre", { tabIndex: 0, role: "region", "aria-label": "Text of the result" }, plain(cut(pretty, SHOWN)));
  if (pretty.length <= SHOWN) return pre;
  const keep = () => save(whole, "text/plain", "result.txt");
  const more = el("p", { className: "muted" }, `The first ${SHOWN.toLocaleString()} of ${whole.length.toLocaleString()} characters. `);
  more.append(el("button", { type: "button", on: { click: keep } }, "Save all of it"));
  return el("div", {}, pre, more);
}

function media(block, at, types, word) {
  const type = String(block.mimeType ?? "").toLowerCase();
  const data = String(block.data ?? "");
  const label = `${word === "image" ? "Image" : "Sound"} ${at} of the result (${cut(plain(type), 60) || "of no type"}, ${size(Math.floor(data.length * 0.75))})`;
  if (!types.includes(type) || !BASE64.test(data)) return note(`${label} is of a kind that this page does not show.`);
  const src = `data:${type};base64,${data}`;
  const shown = word === "image" ? el("img", { src, alt: label }) : el("audio", { src, controls: true, "aria-label": label });
  return el("figure", { className: "media" }, shown, el("figcaption", {}, label));
}

/** Only what a browser opens as a page is a link; everything else is a text. */
export function address(uri) {
  const words = cut(plain(uri), 300);
  if (!/^https?:\/\//i.test(uri)) return el("code", {}, words);
  return el("a", { href: uri, target: "_blank", rel: "noopener noreferrer" }, words);
}

function link(block) {
  const title = cut(plain(block.title ?? block.name ?? ""), 200);
  const description = block.description ? el("p", { className: "muted" }, cut(plain(block.description), 500)) : null;
  return el("div", { className: "linked" }, el("strong", {}, title), " ", address(String(block.uri ?? "")), description);
}

function resource(given, at) {
  const head = el("p", { className: "linked" }, address(String(given.uri ?? "")));
  if (typeof given.text === "string") return el("div", {}, head, text(given.text));
  const block = { mimeType: given.mimeType, data: given.blob };
  if (IMAGES.includes(block.mimeType)) return el("div", {}, head, media(block, at, IMAGES, "image"));
  const bytes = () => Uint8Array.from(atob(String(given.blob ?? "")), (sign) => sign.charCodeAt(0));
  return el("div", {}, head, el("button", { type: "button", on: { click: () => save(bytes(), "application/octet-stream", "resource.bin") } }, "Save it"));
}
