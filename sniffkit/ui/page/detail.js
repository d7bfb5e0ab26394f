// The lower half: a frame as tree and bytes, or what the ends of a flow said.

import { ask } from "./server.js";
import { byId, element } from "./element.js";

// An indented text as nested elements; a headline of a layer knows its bytes: "Ethernet (eth), 14 bytes at 0".
export function treeOf(text) {
  const top = element("div");
  const open = [{ depth: -1, inside: top }];
  const lines = text.split("\n").filter((line) => line.trim());
  const depthOf = (line) => line.length - line.trimStart().length;
  lines.forEach((line, index) => {
    const depth = depthOf(line);
    while (open.at(-1).depth >= depth) open.pop();
    const label = line.trim();
    const parent = open.at(-1).inside;
    if (index + 1 < lines.length && depthOf(lines[index + 1]) > depth) {
      const [, length, offset] = /, (\d+) bytes at (\d+)$/.exec(label) ?? [];
      const title = element("summary", {}, label);
      if (length) title.addEventListener("click", () => mark(title, Number(offset), Number(length)));
      const made = element("details", { open: "" }, title);
      parent.append(made);
      open.push({ depth, inside: made });
    } else {
      parent.append(element("div", {}, label));
    }
  });
  return top;
}

function mark(title, offset, length) {
  for (const one of document.querySelectorAll("#tree .on, #bytes .on")) one.classList.remove("on");
  title.classList.add("on");
  for (const one of byId("bytes").querySelectorAll("[data-at]")) {
    const at = Number(one.dataset.at);
    one.classList.toggle("on", at >= offset && at < offset + length);
  }
}

const DUMPED = 4096; // bytes that are drawn one by one

export function dumpOf(hex) {
  const lines = [];
  const size = Math.min(hex.length / 2, DUMPED);
  for (let line = 0; line < size; line += 16) {
    const row = element("div", {}, line.toString(16).padStart(4, "0"), "  ");
    const letters = [];
    for (let at = line; at < line + 16; at++) {
      const pair = hex.slice(2 * at, 2 * at + 2);
      const code = parseInt(pair, 16);
      row.append(at < size ? element("span", { "data-at": at }, pair) : "  ", at % 16 === 7 ? "  " : " ");
      if (at < size) letters.push(element("span", { "data-at": at }, code > 31 && code < 127 ? pair && String.fromCharCode(code) : "."));
    }
    row.append(" ", ...letters);
    lines.push(row);
  }
  if (hex.length / 2 > size) lines.push(element("div", {}, `… ${hex.length / 2 - size} bytes more`));
  return lines;
}

function fill(about, tree, bytes = []) {
  byId("detail").hidden = false;
  byId("about").replaceChildren(...about, element("button", { onclick: close }, "Close"));
  byId("tree").replaceChildren(tree);
  byId("bytes").replaceChildren(...bytes);
}

let newest = 0; // the request whose answer is wanted: an older one may come later

export function hide() {
  newest++;
  byId("detail").hidden = true;
}

function close() {
  hide();
  byId("detail").dispatchEvent(new Event("close"));
}

// failed(line): shows why there is no answer, below too: the line above the rows is theirs.
async function latest(promise, use, failed) {
  const mine = ++newest;
  try {
    const answer = await promise;
    if (mine === newest) use(answer);
  } catch (error) {
    if (mine === newest) failed(element("div", { role: "alert" }, error.message));
  }
}

// packets(uid): shows those of a flow.
export function showFrame(number, uid, packets) {
  const flow = uid ? [element("button", { onclick: () => showFlow(uid, packets) }, "Follow its flow"), packetsOf(uid, packets)] : [];
  const byTshark = element("button", { onclick: () => latest(
    ask(`frames/${number}`, { by: "tshark" }), ({ tree }) => byId("tree").replaceChildren(treeOf(tree)),
    (line) => byId("tree").replaceChildren(line)) }, "Dissect by tshark");
  const name = element("b", {}, `Frame ${number}`);
  return latest(ask(`frames/${number}`), ({ tree, bytes }) => fill([name, ...flow, byTshark], treeOf(tree), dumpOf(bytes)),
    (line) => fill([name], line));
}

const packetsOf = (uid, packets) => element("button", { onclick: () => packets(uid) }, "Its packets");

export function showFlow(uid, packets, style = "text") {
  const other = style === "text" ? "hex" : "text";
  const name = element("b", {}, `Flow ${uid}`);
  return latest(ask(`flows/${encodeURIComponent(uid)}`, { style }), ({ turns, cut }) => {
    const said = turns.map(([who, text]) => element("div", { class: `said ${who}` }, text));
    if (!said.length) said.push("Nothing was said in it that is kept: no payload, or neither TCP nor UDP.");
    if (cut) said.push(element("div", {}, "… cut here: sniffkit follow --uid has all of it"));
    const as = element("button", { onclick: () => showFlow(uid, packets, other) }, `As ${other}`);
    fill([name, as, packetsOf(uid, packets)], element("div", {}, ...said));
  }, (line) => fill([name], line));
}
