// Two charts of the last hour, as SVG. Each says in words what it shows.

import { clock, took } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 120;
const MINUTES = 60;
const STEP = WIDTH / MINUTES;

function svg(name, given, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(given)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function chart(label, axis, marks) {
  const grid = [0, 0.5, 1].map((at) => svg("line", { x1: 0, x2: WIDTH, y1: at * HEIGHT, y2: at * HEIGHT, class: "grid" }));
  const drawn = svg("svg", { viewBox: `0 -2 ${WIDTH} ${HEIGHT + 4}`, role: "img", "aria-label": label }, ...grid, ...marks);
  const foot = document.createElement("p");
  foot.className = "axis";
  foot.setAttribute("aria-hidden", "true");
  for (const text of axis) foot.append(Object.assign(document.createElement("span"), { textContent: text }));
  return [drawn, foot];
}

const ends = (minute) => minute.ok + minute.failed + minute.stopped;
const at = (minute, now) => (MINUTES - 1 - (now - minute.minute)) * STEP;

/** How many calls ended in each minute. */
export function calls(minutes, now) {
  const most = Math.max(1, ...minutes.map(ends));
  const sum = (of) => minutes.reduce((sum, one) => sum + of(one), 0);
  const [all, failed, stopped] = [sum(ends), sum((one) => one.failed), sum((one) => one.stopped)];
  const bar = (one, from, count, kind) => {
    const height = Math.max((count / most) * HEIGHT, count ? 2 : 0);
    return svg("rect", { x: at(one, now) + 1, y: HEIGHT - (from / most) * HEIGHT - height, width: STEP - 2, height, rx: 1.5, class: kind });
  };
  const marks = minutes.flatMap((one) => [bar(one, 0, one.ok, "ok"), bar(one, one.ok, one.failed, "bad"), bar(one, one.ok + one.failed, one.stopped, "stopped")]);
  const label = all ? `${all} calls in the last hour, ${failed} failed, ${stopped} stopped or cancelled, at most ${most} in a minute` : "No call in the last hour";
  return chart(label, ["an hour ago", all ? `at most ${most} a minute` : "no call yet", "now"], marks);
}

/** How long calls took in each minute: on average, and the longest. The scale is logarithmic. */
export function durations(minutes, now) {
  const some = minutes.filter((one) => ends(one) > 0);
  const mean = (one) => one.took / ends(one);
  const longest = Math.max(1, ...some.map((one) => one.longest));
  const top = Math.log10(Math.max(longest, 1000) + 1);
  const height = (ms) => HEIGHT - (Math.log10(ms + 1) / top) * (HEIGHT - 6);
  const marks = some.flatMap((one) => {
    const x = at(one, now) + STEP / 2;
    return [
      svg("line", { x1: x, x2: x, y1: height(one.longest), y2: height(mean(one)), class: "stem" }),
      svg("ellipse", { cx: x, cy: height(mean(one)), rx: 3, ry: 3, class: "mean" }),
    ];
  });
  const slowest = some.find((one) => one.longest === longest);
  const label = slowest ? `In the last hour the longest call took ${took(longest)} and ended at ${clock(slowest.minute * 60_000)}` : "No call in the last hour";
  return chart(label, ["an hour ago", slowest ? `longest: ${took(longest)}` : "no call yet", "now"], marks);
}
