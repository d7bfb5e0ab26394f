// The page: which table is shown, by what it is narrowed, and what the capture does meanwhile.

import { ask } from "./server.js";
import { byId, element, printable, problem } from "./element.js";
import { Grid, text } from "./grid.js";
import { commandOf } from "./command.js";
import { hide, showFlow, showFrame } from "./detail.js";
import { chart, fillStats, local, stepOf } from "./stats.js";

// The columns that are shown first; of other tables all are.
const FEW = {
  packets: ["frame_number", "ts", "netns", "interface", "ip_src", "ip_dst", "protocols", "frame_len", "info"],
  flows: ["ts", "duration", "netns", "interface", "vlan", "vni", "proto", "orig_h", "orig_p", "resp_h", "resp_p", "service",
    "conn_state", "orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "http_host", "tls_server_name", "dns_query"],
  http: ["ts", "orig_h", "resp_h", "resp_p", "method", "host", "uri", "status_code", "response_body_len",
    "content_type", "duration", "complete"],
  dns: ["ts", "orig_h", "resp_h", "query", "qtype_name", "rcode_name", "rtt", "answers"],
};
const INFO = { name: "info", type: "Utf8", title: "what sniffkit read prints" };
const OTHERS = { stats: "Statistics", sql: "SQL" };
const POLL = 1000; // ms

// What is looked at; it stands in the address. table; filter, where, sort; frame and uid of what is below; section, layer;
// query; all: every column.
const state = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
delete state.token;
addEventListener("hashchange", () => location.reload()); // another address was put into this tab
let columns = {};
let files = [];
let growing = false;
let version = ""; // of the files, of which the shown rows are
let answer = null; // of statistics or SQL: its rows are all there
let step = 1; // s of its rows, of io
let turn = 0; // which show() is the newest: what an older one still gets is not shown

const grid = new Grid(byId("rows"), {
  pick: (row) => {
    if (state.table in OTHERS) return;
    state.uid = row.uid ?? "";
    state.frame = state.table === "flows" || state.table === "streams" ? "" : (frameOf(row) ?? "");
    remember();
    detail();
  },
  narrow: ({ name, type }, value, not) => {
    if (state.table in OTHERS || name === "info" || Array.isArray(value)) return;
    const said = type.startsWith("Timestamp") ? text(value).replace("Z", "") : text(value); // UTC without a zone there
    const quoted = value === null ? "NULL" : typeof value === "string" ? `'${said.replaceAll("'", "''")}'` : said;
    const same = value === null ? "IS NULL" : `= ${quoted}`;
    const test = `${name} ${not ? `IS DISTINCT FROM ${quoted}` : same}`;
    show({ where: state.where ? `(${state.where}\n) AND ${test}` : test });
  },
  sorted: (name) => {
    if (name === "info" && state.table === "packets") return;
    const sort = state.sort === name ? `${name} DESC` : state.sort === `${name} DESC` ? "" : name;
    if (!(state.table in OTHERS)) return show({ sort });
    const before = state.sort;
    state.sort = sort;
    remember();
    if (state.table !== "stats" || !answer.cut) return showRows();
    const mine = ++turn; // other rows may be the first
    reading(mine, async () => {
      try {
        if (await getAnswer(mine)) await showRows();
      } catch (error) {
        if (mine === turn) state.sort = before; // that of the rows that are still there
        remember();
        throw error;
      }
    });
  },
  failed: (error) => problem(error.message),
});

const frameOf = (row) => row.frame_number ?? row.request_frame ?? row.first_frame;

// Marks the row that the address leads to: of packets in their order wherever it is, else where it is among the first.
async function markShown(mine) {
  const { table, filter, where, sort, uid } = state;
  const frame = Number(state.frame);
  if (!frame && !uid) return;
  let at = 0;
  if (frame && table === "packets" && !sort) {
    const before = `${where ? `(${where}\n) AND ` : ""}frame_number < ${frame}`;
    at = (await ask("tables/packets", { filter, where: before, limit: 0 })).total;
  }
  if (mine === turn) await grid.mark(at, (row) => (frame ? frameOf(row) === frame : row.uid === uid));
}

function detail() {
  if (state.frame) return showFrame(state.frame, state.uid, packetsOf);
  if (state.uid) return showFlow(state.uid, packetsOf);
  return hide();
}

const packetsOf = (uid) => show({ table: "packets", filter: "", where: `uid = '${uid}'`, sort: "" });

function remember() {
  const kept = Object.entries(state).filter(([, value]) => value !== undefined && value !== "");
  history.replaceState(null, "", "#" + new URLSearchParams(kept));
  byId("command").textContent = commandOf(state, files, step);
}

// Of a file that is being written the end is always missing.
const tellDamage = ({ damage }) => problem(growing ? "" : damage.join("\n"));

// The rows of a table as a Grid's source; one request for lines at a time.
function rowsOf({ table, filter, where, sort }, mine) {
  let lines = Promise.resolve();
  return {
    rows: async (offset, limit) => {
      const answer = await ask(`tables/${table}`, { filter, where, sort, offset, limit });
      if (mine !== turn) return answer;
      version = answer.version; // may be older than that of the files: it is asked for again
      byId("count").textContent = `${answer.total.toLocaleString("en")} rows`;
      tellDamage(answer);
      return answer;
    },
    more: table !== "packets" ? undefined : (rows) => {
      lines = lines.catch(() => {}).then(async () => {
        if (mine !== turn) return;
        const said = await ask("lines", { frames: rows.map((row) => row.frame_number).join() });
        for (const row of rows) row.info = said[row.frame_number];
      });
      return lines;
    },
  };
}

const ASKED = ["filter", "where", "query"];

// What stands in a field but was not run is none of what the rows are of.
function markDrafts() {
  for (const name of ASKED) {
    const draft = byId(name).value.trim() !== (state[name] ?? byId(name).value).trim();
    byId(name).classList.toggle("draft", draft);
    byId(name).title = draft ? "not run yet" : "";
  }
}

// Shows what `changes` make of the state.
async function show(changes = {}) {
  const mine = ++turn;
  Object.assign(state, changes);
  problem("");
  for (const tab of byId("tabs").children) tab.ariaCurrent = tab.dataset.table === state.table ? "page" : null;
  byId("ask").hidden = state.table in OTHERS;
  byId("asksql").hidden = state.table !== "sql";
  byId("askstats").hidden = state.table !== "stats";
  // Only what has changed: what was typed into the others, but not run yet, stays.
  for (const name of ASKED) if (changes[name] !== undefined) byId(name).value = changes[name];
  markDrafts();
  byId("all").checked = Boolean(state.all);
  if (state.table === "sql") state.query ??= byId("query").value;
  if (state.table === "stats") {
    state.section = byId("section").value = state.section || "summary";
    byId("layer").hidden = !["conversations", "endpoints"].includes(state.section);
    state.layer = byId("layer").value = state.layer || "ip";
  }
  byId("chart").replaceChildren();
  step = 1;
  remember();
  await reading(mine, async () => {
    if (state.table in OTHERS) {
      hide();
      await showAnswer(mine);
    } else {
      detail();
      await grid.show(shownColumns(), state.sort, rowsOf(state, mine));
      await markShown(mine);
    }
  });
}

async function reading(mine, task) {
  byId("count").textContent = "reading …";
  try {
    await task();
  } catch (error) {
    if (mine !== turn) return;
    problem(error.message);
    byId("count").textContent = "";
  }
}

function shownColumns() {
  const known = columns[state.table].map(([name, type, title]) => ({ name, type, title }));
  if (state.table === "packets") known.push(INFO);
  const few = FEW[state.table];
  return !few || state.all ? known : few.map((name) => known.find((column) => column.name === name));
}

async function showAnswer(mine) {
  await grid.show([], "", { rows: async () => ({ total: 0, rows: [] }) });
  if (await getAnswer(mine)) await showRows();
}

// Whether the answer is there, and still wanted.
async function getAnswer(mine) {
  const { table, section, layer, query, sort } = state;
  const got = await (table === "sql" ? ask("sql", { query }) : ask(`stats/${section}`, { layer, sort }));
  if (mine !== turn) return false;
  answer = got;
  tellDamage(answer);
  byId("count").textContent = `${answer.rows.length.toLocaleString("en")} rows${answer.cut ? ", and there are more" : ""}`;
  const bars = table === "stats" && section === "io" && answer.rows.length > 1;
  byId("chart").replaceChildren(...(bars ? [chart(answer.rows)] : []));
  const now = bars ? stepOf(answer.rows) : 1;
  if (now !== step) {
    step = now;
    remember();
  }
  return true;
}

function showRows() {
  const [shown, source] = local(answer, state.sort);
  return grid.show(shown, state.sort, source);
}

let polling = false;
let lost = false; // the server did not answer
let rest = 0; // until when nothing is read again: reading takes the processors from the capture

async function poll() {
  if (polling) return;
  polling = true;
  try {
    const now = await ask("capture").catch((error) => {
      lost = true;
      throw error;
    });
    if (lost) problem("");
    lost = false;
    files = now.files;
    byId("what").textContent = printable(files.join(" "));
    growing = Boolean(now.live?.running);
    if (now.live) {
      byId("live").hidden = false;
      byId("live").classList.toggle("ended", !growing);
      byId("stop").hidden = !growing;
      byId("live").querySelector("span").textContent =
        printable([` ${now.live.points.join(", ")}: ${now.live.frames.toLocaleString("en")} frames`, ...now.live.why].join("; "));
    }
    if (!version) version = now.version;
    if (now.version !== version && performance.now() > rest && state.table !== "sql") {
      const begun = performance.now();
      if (state.table !== "stats") await grid.refresh();
      else {
        version = now.version;
        if (await getAnswer(turn)) {
          const [shown, source] = local(answer, state.sort);
          // What a column holds shows with its first value.
          const same = JSON.stringify(shown) === JSON.stringify(grid.columns);
          await (same ? grid.refresh(source) : showRows());
        }
      }
      rest = performance.now() + 4 * (performance.now() - begun);
    }
  } finally {
    polling = false;
  }
}

const told = (task) => task().catch((error) => problem(error.message));

async function begin() {
  await poll();
  columns = await ask("columns");
  if (!Object.hasOwn(columns, state.table) && !Object.hasOwn(OTHERS, state.table)) state.table = "packets";
  const names = [...Object.keys(columns).map((name) => [name, name]), ...Object.entries(OTHERS)];
  const other = { where: "", sort: "", frame: "", uid: "" };
  byId("tabs").replaceChildren(...names.map(([table, title]) =>
    element("button", { "data-table": table, onclick: () => show({ ...other, table }) }, title)));
  fillStats();
  for (const name of ASKED) byId(name).addEventListener("input", markDrafts);
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    show({ filter: byId("filter").value.trim(), where: byId("where").value.trim() });
  });
  byId("clear").addEventListener("click", () => show({ filter: "", where: "", sort: "" }));
  byId("all").addEventListener("change", () => show({ all: byId("all").checked ? "1" : "" }));
  byId("asksql").addEventListener("submit", (event) => {
    event.preventDefault();
    show({ query: byId("query").value, sort: "" });
  });
  byId("askstats").addEventListener("change", () =>
    show({ section: byId("section").value, layer: byId("layer").value, sort: "" }));
  byId("detail").addEventListener("close", () => {
    state.frame = state.uid = ""; // it stays closed when the page is loaded again
    remember();
  });
  byId("stop").addEventListener("click", () => told(() => ask("stop", {}, { method: "POST" })));
  setInterval(() => told(poll), POLL);
  await show({ filter: "", where: "", ...state });
}

told(begin);
