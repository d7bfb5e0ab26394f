// A table of any length: only the rows in sight are elements, and rows are fetched in blocks when they come in sight.

import { element } from "./element.js";

const ROW = 20; // px, as in page.css
const BLOCK = 200; // rows a request
const TALLEST = 8_000_000; // px; browsers cap the height of an element, so taller tables scroll faster
const NUMBERS = /^(U?Int|Float)/;

export function text(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(text).join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export class Grid {
  // fetchRows(offset, limit) -> Promise of {total, rows}; decorate(rows) -> Promise, after which they are drawn again;
  // pick(row): one is chosen; narrow(column, value): a cell is clicked twice; sorted(name): a head is clicked.
  // A column: {name, type, title}.
  constructor(place, { fetchRows, decorate, pick, narrow, sorted }) {
    Object.assign(this, { place, fetchRows, decorate, pick, narrow, sorted });
    this.body = element("tbody");
    this.head = element("thead");
    this.table = element("table", {}, this.head, this.body);
    this.above = element("div");
    this.below = element("div");
    place.addEventListener("scroll", () => this.draw());
    place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  show(columns, sort) {
    this.columns = columns;
    this.blocks = new Map();
    this.total = 0;
    this.selected = null;
    this.era = (this.era ?? 0) + 1;
    const mark = (name) => (sort === name ? " ▲" : sort === `${name} DESC` ? " ▼" : "");
    this.head.replaceChildren(element("tr", {}, ...columns.map((column) =>
      element("th", { title: column.title, onclick: () => this.sorted(column.name) }, column.name, mark(column.name)))));
    this.place.replaceChildren(this.above, this.table, this.below);
    this.place.scrollTop = 0;
    return this.load(0);
  }

  // The rows may have changed: those in sight are asked for again, and the last one is kept in sight if it was.
  async refresh() {
    const atEnd = this.place.scrollTop + this.place.clientHeight >= this.place.scrollHeight - 2 * ROW;
    const before = this.total;
    this.blocks = new Map();
    await this.load(Math.floor(this.first() / BLOCK));
    if (atEnd && this.total > before) this.place.scrollTop = this.place.scrollHeight;
  }

  async load(block) {
    if (this.blocks.has(block)) return;
    this.blocks.set(block, null); // under way
    const { era, blocks } = this;
    let answer;
    try {
      answer = await this.fetchRows(block * BLOCK, BLOCK);
    } catch (error) {
      blocks.delete(block);
      throw error;
    }
    if (era !== this.era) return;
    blocks.set(block, answer.rows);
    this.total = answer.total;
    this.draw();
    if (this.decorate && answer.rows.length) {
      await this.decorate(answer.rows);
      if (era === this.era) this.draw();
    }
  }

  height() { return Math.min(this.total * ROW, TALLEST); }

  // Rows that have room below the head.
  shown() { return Math.max(1, Math.floor(this.place.clientHeight / ROW) - 1); }

  first() {
    const room = this.height() + ROW - this.place.clientHeight;
    if (room <= 0) return 0;
    const last = Math.max(0, this.total - this.shown());
    const at = this.height() < TALLEST ? Math.floor(this.place.scrollTop / ROW) : (this.place.scrollTop / room) * last;
    return Math.min(last, Math.round(at));
  }

  row(at) { return this.blocks.get(Math.floor(at / BLOCK))?.[at % BLOCK]; }

  draw() {
    if (!this.columns) return;
    const first = this.first();
    const last = Math.min(this.total, first + this.shown() + 2); // the two at the edges may be cut
    const top = this.height() < TALLEST ? first * ROW : this.place.scrollTop;
    this.above.style.height = `${top}px`;
    this.below.style.height = `${Math.max(0, this.height() - top - (last - first) * ROW)}px`;
    const drawn = [];
    for (let at = first; at < last; at++) {
      const row = this.row(at);
      if (row === undefined) this.load(Math.floor(at / BLOCK)).catch(() => {});
      drawn.push(this.line(at, row));
    }
    this.body.replaceChildren(...drawn);
  }

  line(at, row) {
    const cells = this.columns.map((column) => {
      const said = text(row?.[column.name]);
      return element("td", { class: NUMBERS.test(column.type) && "number", title: said.length > 40 && said,
        ondblclick: () => row && this.narrow?.(column, row[column.name]) }, said);
    });
    return element("tr", { class: row?.malformed && "bad", "aria-selected": at === this.selected && "true",
      onclick: () => this.select(at) }, ...cells);
  }

  select(at) {
    const row = this.row(at);
    if (!row) return;
    this.selected = at;
    this.draw();
    this.pick?.(row);
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: this.shown(), PageUp: -this.shown() };
    if (!(event.key in steps) || this.selected === null) return;
    event.preventDefault();
    const at = Math.max(0, Math.min(this.total - 1, this.selected + steps[event.key]));
    const first = this.first();
    if (at < first || at >= first + this.shown()) this.place.scrollTop += steps[event.key] * ROW;
    this.select(at);
  }
}
