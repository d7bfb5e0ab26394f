// A table of any length: only the rows in sight are elements, and rows are fetched in blocks when they come in sight.

import { element } from "./element.js";

const ROW = 20; // px, as in page.css
const BLOCK = 200; // rows a request
const TALLEST = 8_000_000; // px; browsers cap the height of an element, so taller tables scroll faster
const STILL = 50; // ms without scrolling before rows are fetched
const NUMBERS = /^(U?Int|Float|number)/;

export function text(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(text).join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

// A row is the same row after the table has grown.
const keyOf = (row) => JSON.stringify([row.frame_number ?? row.uid ?? row, row.ts]);

export class Grid {
  // pick(row): one is chosen; narrow(column, value, not): a cell is clicked twice, with Shift for all others;
  // sorted(name): a head is clicked; failed(error): rows could not be fetched.
  constructor(place, { pick, narrow, sorted, failed }) {
    Object.assign(this, { place, pick, narrow, sorted, failed });
    this.body = element("tbody", { onmouseup: (event) => this.clicked(event) });
    this.head = element("thead");
    this.above = element("div");
    this.below = element("div");
    place.replaceChildren(this.above, element("table", {}, this.head, this.body), this.below);
    place.addEventListener("scroll", () => this.draw());
    place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resized()).observe(place);
    this.columns = [];
    this.blocks = new Map();
    this.total = this.drawn = 0;
  }

  // columns: {name, type, title}; source.rows(offset, limit) -> Promise of {total, rows}; source.more(rows) -> Promise,
  // after which rows are drawn again.
  async show(columns, sort, source) {
    Object.assign(this, { columns, source, blocks: new Map(), total: 0, at: null, selected: null });
    const mark = (name) => (sort === name ? " ▲" : sort === `${name} DESC` ? " ▼" : "");
    this.head.replaceChildren(element("tr", {}, ...columns.map((column) =>
      element("th", { title: column.title, onclick: () => this.sorted?.(column.name) }, column.name, mark(column.name)))));
    this.place.scrollTop = 0;
    this.draw();
    await this.load(0);
  }

  // The table may have changed: its rows in sight are exchanged when the new ones are there. Who reads in the middle stays
  // where he is, who is at the end follows it.
  async refresh() {
    const { source } = this;
    const atEnd = this.place.scrollTop + this.place.clientHeight >= this.place.scrollHeight - 2 * ROW;
    const blocks = new Map();
    let first = this.first();
    const before = this.total;
    let total = await this.fetch(blocks, Math.floor(first / BLOCK));
    if (atEnd && total > before) {
      first = Math.max(0, total - this.shown());
      total = await this.fetch(blocks, Math.floor(first / BLOCK));
    }
    const last = Math.floor(Math.min(total - 1, first + this.shown() + 1) / BLOCK);
    if (total && !blocks.has(last)) total = await this.fetch(blocks, last);
    if (source !== this.source) return;
    Object.assign(this, { blocks, total });
    this.at = this.selected === null ? null : this.find(this.selected);
    this.draw();
    this.scrollTo(first);
  }

  find(key) {
    for (const [block, rows] of this.blocks) {
      const at = rows?.findIndex((row) => keyOf(row) === key) ?? -1;
      if (at >= 0) return block * BLOCK + at;
    }
    return null;
  }

  async fetch(blocks, block) {
    const answer = await this.source.rows(block * BLOCK, BLOCK);
    if (answer.rows.length) await this.source.more?.(answer.rows);
    blocks.set(block, answer.rows);
    return answer.total;
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
      if (!rows.length || !source.more) return;
      await source.more(rows);
      if (blocks === this.blocks) this.draw();
    } catch (error) {
      if (blocks.get(block) === null) blocks.delete(block);
      if (blocks === this.blocks) throw error;
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
    const first = this.first();
    const last = Math.min(this.total, first + this.shown() + 2); // the two at the edges may be cut
    const top = this.height() < TALLEST ? first * ROW : this.place.scrollTop;
    this.above.style.height = `${top}px`;
    this.below.style.height = `${Math.max(0, this.height() - top - (last - first) * ROW)}px`;
    this.drawn = first;
    const rows = [];
    let missing = false;
    for (let at = first; at < last; at++) {
      missing ||= !this.blocks.has(Math.floor(at / BLOCK));
      rows.push(this.line(at));
    }
    this.body.replaceChildren(...rows);
    clearTimeout(this.waiting);
    if (missing) this.waiting = setTimeout(() => this.loadInSight(), STILL);
  }

  loadInSight() {
    const [first, last] = [this.first(), Math.min(this.total - 1, this.first() + this.shown() + 1)];
    for (const block of new Set([Math.floor(first / BLOCK), Math.floor(last / BLOCK)])) this.load(block).catch(this.failed);
  }

  line(at) {
    const row = this.row(at);
    const cells = this.columns.map(({ name, type }) => {
      const said = text(row?.[name]);
      return element("td", { class: NUMBERS.test(type) && "number", title: said.length > 40 && said }, said);
    });
    const chosen = row && this.selected !== null && keyOf(row) === this.selected;
    return element("tr", { class: row?.malformed && "bad", "aria-selected": chosen && "true" }, ...cells);
  }

  // Rows may be drawn anew while a button is down, or between two clicks: then there is no click, but its end.
  clicked(event) {
    if (event.button !== 0) return;
    const cell = event.target.closest("td");
    if (!cell) return;
    const at = this.drawn + [...this.body.children].indexOf(cell.parentNode);
    const row = this.row(at);
    if (!row) return;
    const column = this.columns[[...cell.parentNode.children].indexOf(cell)];
    if (event.detail === 2) this.narrow?.(column, row[column.name], event.shiftKey);
    else this.select(at);
  }

  select(at) {
    const row = this.row(at);
    if (!row) return;
    Object.assign(this, { at, selected: keyOf(row) });
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

  resized() {
    if (this.at !== null && this.at >= this.drawn && this.at < this.drawn + this.body.children.length) this.reveal(this.at);
    this.draw();
  }

  async key(event) {
    const { at } = this;
    const page = this.shown();
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || at === null) return;
    event.preventDefault();
    const wanted = Math.max(0, Math.min(this.total - 1, at + steps[event.key]));
    this.at = wanted;
    this.reveal(wanted);
    await this.load(Math.floor(wanted / BLOCK)).catch(this.failed);
    if (this.at === wanted) this.select(wanted);
  }
}
