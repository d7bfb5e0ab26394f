// A table of any length: only the rows in sight are elements, and rows are fetched in blocks when they come in sight.

import { element, printable } from "./element.js";
import { Digits } from "./numbers.js";

const ROW = 20; // px, as in page.css
const BLOCK = 200; // rows a request
const TALLEST = 8_000_000; // px; browsers cap the height of an element, so taller tables scroll faster
const STILL = 50; // ms without scrolling before rows are fetched
const NUMBERS = /^(U?Int|Float|number)/;

export function text(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(text).join(",");
  return typeof value === "object" && !(value instanceof Digits) ? JSON.stringify(value) : String(value);
}

// A row is the same row after the table has grown: what tells it from others of its frame or flow, and does not change.
const FIXED = ["trans_depth", "is_orig", "trans_id", "query", "qtype", "query_frame", "msg_type"];
const keyOf = (row) => JSON.stringify([row.frame_number ?? row.uid ?? row, row.ts, ...FIXED.map((name) => row[name])]);

export class Grid {
  // pick(row): one is chosen; narrow(column, value, not): a cell is clicked twice, with Shift for all others;
  // sorted(name): a head is clicked; failed(error): rows could not be fetched.
  constructor(place, { pick, narrow, sorted, failed }) {
    Object.assign(this, { place, pick, narrow, sorted, failed });
    this.body = element("tbody");
    this.head = element("thead");
    this.above = element("div");
    this.below = element("div");
    place.replaceChildren(this.above, element("table", {}, this.head, this.body), this.below);
    place.addEventListener("scroll", () => this.draw());
    place.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("mouseup", (event) => this.clicked(event));
    document.addEventListener("click", (event) => this.second(event) && (event.preventDefault(), event.stopPropagation()), true);
    new ResizeObserver(() => this.draw()).observe(place);
    this.columns = [];
    this.blocks = new Map();
    this.whole = new WeakSet(); // blocks' rows that source.more has been asked for
    this.total = this.drawn = 0;
    this.wanted = null; // the row that a key has led to, until it is there
  }

  // columns: {name, type, title}; source.rows(offset, limit) -> Promise of {total, rows}; source.more(rows) -> Promise,
  // after which the rows of a block have what takes longer.
  async show(columns, sort, source) {
    Object.assign(this, { columns, source, blocks: new Map(), total: 0, at: null, selected: null, wanted: null });
    const order = (name) => (sort === name ? "ascending" : sort === `${name} DESC` ? "descending" : undefined);
    const held = [...this.head.querySelectorAll("th")].indexOf(document.activeElement);
    this.head.replaceChildren(element("tr", {}, ...columns.map((column) => this.title(column, order(column.name)))));
    this.head.querySelectorAll("th")[held]?.focus({ preventScroll: true });
    this.place.scrollTop = 0;
    this.draw();
    await this.load(0);
  }

  title({ name, title }, order) {
    const sort = () => this.sorted?.(name);
    const onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      sort();
    };
    const mark = { ascending: " ▲", descending: " ▼" }[order] ?? "";
    return element("th", { title, tabindex: 0, "aria-sort": order, onclick: sort, onkeydown }, name, mark);
  }

  // The table may have changed: its rows in sight are exchanged when the new ones, of `source`, are there. Who reads in the
  // middle stays where he is, who is at the end follows it.
  async refresh(source = this.source) {
    const shown = this.source;
    const atEnd = this.place.scrollTop + this.place.clientHeight >= this.place.scrollHeight - 2 * ROW;
    const blocks = new Map();
    const fetch = async (block) => {
      const answer = await source.rows(block * BLOCK, BLOCK);
      if (answer.rows.length) await source.more?.(answer.rows);
      blocks.set(block, answer.rows);
      this.whole.add(answer.rows);
      return answer.total;
    };
    let first = this.first();
    const before = this.total;
    let total = await fetch(Math.floor(first / BLOCK));
    if (atEnd && total > before) {
      first = Math.max(0, total - this.shown());
      total = await fetch(Math.floor(first / BLOCK));
    }
    const last = Math.floor(Math.min(total - 1, first + this.shown() + 1) / BLOCK);
    if (total && !blocks.has(last)) total = await fetch(last);
    if (shown !== this.source) return;
    Object.assign(this, { source, blocks, total });
    this.at = this.selected === null ? null : this.find(this.selected);
    this.draw();
    this.scrollTo(first);
    if (this.wanted !== null) this.go(this.wanted);
  }

  find(key) {
    const before = this.at === null ? undefined : this.row(this.at);
    if (before && keyOf(before) === key) return this.at; // others may be like it
    for (const [block, rows] of this.blocks) {
      const at = rows?.findIndex((row) => keyOf(row) === key) ?? -1;
      if (at >= 0) return block * BLOCK + at;
    }
    return null;
  }

  async load(block) {
    const { source, blocks } = this;
    if (blocks.has(block)) return;
    blocks.set(block, null); // under way
    try {
      const { rows, total } = await source.rows(block * BLOCK, BLOCK);
      if (blocks !== this.blocks) return;
      blocks.set(block, rows);
      this.total = total;
      this.draw();
      this.arrive();
    } catch (error) {
      if (blocks.get(block) === null) blocks.delete(block);
      if (blocks === this.blocks) throw error;
    }
  }

  // Has the rows in sight made whole, a block at a time: whichever is in sight by then.
  async complete() {
    const { source } = this;
    if (!source.more || this.completing === source) return;
    this.completing = source;
    try {
      let rows;
      const lacks = (block) => this.blocks.get(block)?.length && !this.whole.has(this.blocks.get(block));
      while (source === this.source && (rows = this.blocks.get(this.inSight().find(lacks)))) {
        await source.more(rows);
        this.whole.add(rows);
        this.draw();
      }
    } catch (error) {
      if (source === this.source) this.failed(error);
    } finally {
      if (this.completing === source) this.completing = null;
    }
  }

  height() { return Math.min(this.total * ROW, TALLEST); }

  // Rows that have room below the head.
  shown() { return Math.max(1, Math.floor(this.place.clientHeight / ROW) - 1); }

  // How far it can be scrolled: px, and rows.
  room() { return [this.height() + ROW - this.place.clientHeight, Math.max(0, this.total - this.shown())]; }

  first() {
    const [room, last] = this.room();
    if (room <= 0) return 0;
    const at = this.height() < TALLEST ? this.place.scrollTop / ROW + 0.01 : (this.place.scrollTop / room) * last;
    return Math.min(last, this.height() < TALLEST ? Math.floor(at) : Math.round(at));
  }

  scrollTo(first) {
    const [room, last] = this.room();
    this.place.scrollTop = this.height() < TALLEST ? first * ROW : last ? (first / last) * room : 0;
    this.draw();
  }

  row(at) { return this.blocks.get(Math.floor(at / BLOCK))?.[at % BLOCK]; }

  draw() {
    const { clientHeight } = this.place;
    if (clientHeight !== this.drawnFor) { // a chosen row that was in sight stays so
      this.drawnFor = clientHeight;
      if (this.at !== null && this.at >= this.drawn && this.at < this.drawn + this.body.children.length) this.reveal(this.at);
    }
    const first = this.first();
    const last = Math.min(this.total, first + this.shown() + 2); // the two at the edges may be cut
    const top = this.height() < TALLEST ? first * ROW : this.place.scrollTop;
    this.above.style.height = `${top}px`;
    this.below.style.height = `${Math.max(0, this.height() - top - (last - first) * ROW)}px`;
    this.drawn = first;
    const rows = [];
    let missing = false;
    for (let at = first; at < last; at++) {
      const block = Math.floor(at / BLOCK);
      missing ||= !this.blocks.has(block) || (this.source?.more && !this.whole.has(this.blocks.get(block)));
      rows.push(this.line(at));
    }
    this.body.replaceChildren(...rows);
    clearTimeout(this.waiting);
    if (missing) this.waiting = setTimeout(() => this.loadInSight(), STILL);
  }

  inSight() {
    const [first, last] = [this.first(), Math.min(this.total - 1, this.first() + this.shown() + 1)];
    return [...new Set([Math.floor(first / BLOCK), Math.floor(last / BLOCK)])];
  }

  loadInSight() {
    for (const block of this.inSight()) this.load(block).catch(this.failed);
    this.complete();
  }

  line(at) {
    const row = this.row(at);
    const cells = this.columns.map(({ name, type }) => {
      const said = text(row?.[name]);
      return element("td", { class: NUMBERS.test(type) && "number", title: said.length > 40 && printable(said) }, said);
    });
    const chosen = row && this.selected !== null && (this.at === null ? keyOf(row) === this.selected : at === this.at);
    return element("tr", { class: row?.malformed && "bad", "aria-selected": chosen && "true" }, ...cells);
  }

  // Rows may be drawn anew while a button is down, or between two clicks: then there is no click, but its end. What a
  // first click opens may lie under the second: both are of the cell that the first was on.
  clicked(event) {
    if (event.button !== 0) return;
    if (this.second(event)) return this.narrow?.(this.cell.column, this.cell.value, event.shiftKey);
    this.cell = null;
    const cell = event.target.closest?.("td");
    if (event.detail > 1 || !cell || !this.body.contains(cell)) return;
    const at = this.drawn + [...this.body.children].indexOf(cell.parentNode);
    const row = this.row(at);
    if (!row) return;
    const column = this.columns[[...cell.parentNode.children].indexOf(cell)];
    this.cell = { column, value: row[column.name] };
    this.select(at);
  }

  second(event) { return event.detail === 2 && Boolean(this.cell); }

  select(at) {
    const row = this.row(at);
    if (!row) return;
    Object.assign(this, { at, selected: keyOf(row), wanted: null });
    this.draw();
    this.pick?.(row);
  }

  // Marks the first row of the block of row `at` that `is` wanted, unless there is none, or another was chosen meanwhile.
  async mark(at, is) {
    const block = Math.floor(at / BLOCK);
    await this.load(block);
    const found = this.blocks.get(block)?.findIndex(is) ?? -1;
    if (found < 0 || this.at !== null) return;
    Object.assign(this, { at: block * BLOCK + found, selected: keyOf(this.blocks.get(block)[found]) });
    this.reveal(this.at);
    this.draw();
  }

  // Scrolls as little as it takes to see a row.
  reveal(at) {
    const first = this.first();
    if (at < first) this.scrollTo(at);
    else if (at >= first + this.shown()) this.scrollTo(at - this.shown() + 1);
  }

  // Chooses a row when it is there, unless another is wanted by then.
  go(at) {
    this.at = this.wanted = at;
    this.reveal(at);
    this.load(Math.floor(at / BLOCK)).catch(this.failed);
    this.arrive();
  }

  arrive() {
    if (this.wanted !== null && this.wanted === this.at) this.select(this.wanted);
  }

  key(event) {
    const { at } = this;
    const page = this.shown();
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity, Enter: 0 };
    if (!(event.key in steps) || !this.total || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const step = steps[event.key];
    const from = at ?? this.first(); // without a row before, the first in sight is the next
    this.go(Math.max(0, Math.min(this.total - 1, from + (at === null && Number.isFinite(step) ? 0 : step))));
  }
}
