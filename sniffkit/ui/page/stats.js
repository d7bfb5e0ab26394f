// Statistics and answers of SQL: short tables, and a chart of frames over time.

import { byId, element } from "./element.js";
import { text } from "./grid.js";

const SECTIONS = ["summary", "hierarchy", "conversations", "endpoints", "lengths", "io", "health", "tcp"];
const LAYERS = ["ip", "ipv6", "tcp", "udp", "sctp", "eth"];
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 900;
const HEIGHT = 160;
const LABEL = 16; // px above and below the bars

export function fillStats() {
  byId("section").replaceChildren(...SECTIONS.map((name) => element("option", {}, name)));
  byId("layer").replaceChildren(...LAYERS.map((name) => element("option", {}, name)));
}

export function drawStats(place, section, { columns, total, rows }) {
  const head = element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", {}, name))));
  const body = element("tbody", {}, ...rows.map((row) => element("tr", {}, ...columns.map((name) =>
    element("td", { class: typeof row[name] === "number" && "number" }, text(row[name]))))));
  place.replaceChildren(...(section === "io" && rows.length > 1 ? [chart(rows)] : []), element("table", {}, head, body));
  if (total > rows.length) place.append(element("p", {}, `the first ${rows.length} of ${total} rows`));
}

// Frames over time, no more bars than pixels: a bar is the highest of the steps under it.
function chart(rows) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("width", WIDTH);
  drawn.setAttribute("height", HEIGHT + 2 * LABEL);
  const bars = Math.min(WIDTH, rows.length);
  const highest = rows.reduce((most, row) => Math.max(most, row.frames), 1);
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
  add("text", { x: 0, y: LABEL - 4 }, `${highest} frames`);
  add("text", { x: WIDTH, y: HEIGHT + 2 * LABEL - 3, "text-anchor": "end" }, `${rows.at(-1).start} s`);
  return drawn;
}
