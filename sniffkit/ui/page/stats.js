// Statistics and answers of SQL: rows that are all there, and a chart of frames over time.

import { byId, element } from "./element.js";
import { compare, isNumber } from "./numbers.js";

const SECTIONS = ["summary", "hierarchy", "conversations", "endpoints", "lengths", "io", "health", "tcp"];
const LAYERS = ["ip", "ipv6", "tcp", "udp", "sctp", "eth"];
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 900;
const HEIGHT = 120;
const LABEL = 16; // px above and below the bars

export function fillStats() {
  byId("section").replaceChildren(...SECTIONS.map((name) => element("option", {}, name)));
  byId("layer").replaceChildren(...LAYERS.map((name) => element("option", {}, name)));
}

// Of a column of rows; null is the last in either direction.
const order = (name, down) => ({ [name]: a }, { [name]: b }) => (a === null || b === null ? 1 : down) * compare(a, b);

// What a Grid shows of an answer {columns, rows}, in the order of `sort`.
export function local({ columns, rows }, sort) {
  const [name, down] = sort?.endsWith(" DESC") ? [sort.slice(0, -5), -1] : [sort, 1];
  const sorted = columns.includes(name) ? rows.toSorted(order(name, down)) : rows;
  const typeOf = (name) => (isNumber(rows.find((row) => row[name] !== null)?.[name]) ? "number" : "");
  return [
    columns.map((name) => ({ name, type: typeOf(name), title: name })),
    { rows: async (offset, limit) => ({ total: rows.length, rows: sorted.slice(offset, offset + limit) }) },
  ];
}

// s from a row of io to the next; the server takes 1, 10, 100, …, so that all of them are there.
export const stepOf = (rows) => Number(rows[1]?.start ?? 1);

// Frames over time, no more bars than pixels: a bar is the highest of the steps under it.
export function chart(rows) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("width", WIDTH);
  drawn.setAttribute("height", HEIGHT + 2 * LABEL);
  const bars = Math.min(WIDTH, rows.length);
  const highest = rows.reduce((most, row) => Math.max(most, row.frames), 1);
  const step = stepOf(rows);
  const end = Number(rows.at(-1).start) + step;
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", `Frames over ${end} s, at most ${highest} per ${step} s`);
  const add = (name, attributes, said = "") => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = said;
    drawn.append(made);
  };
  for (let bar = 0; bar < bars; bar++) {
    const from = Math.floor((bar * rows.length) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * rows.length) / bars));
    const most = rows.slice(from, to).reduce((most, row) => Math.max(most, row.frames), 0);
    const height = (most / highest) * HEIGHT;
    add("rect", { x: (bar * WIDTH) / bars, y: LABEL + HEIGHT - height, width: Math.max(1, WIDTH / bars - 1), height });
  }
  add("text", { x: 0, y: LABEL - 4 }, `${highest} frames per ${step} s`);
  add("text", { x: WIDTH, y: HEIGHT + 2 * LABEL - 3, "text-anchor": "end" }, `${end} s`);
  return drawn;
}
