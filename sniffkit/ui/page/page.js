// The page: which table is shown, by what it is narrowed, and what the capture does meanwhile.

import { ask } from "./server.js";
import { byId, element, problem } from "./element.js";
import { Grid, text } from "./grid.js";
import { hide, showFlow, showFrame } from "./detail.js";
import { drawStats, fillStats } from "./stats.js";

// The columns that are shown first; of other tables all are.
const FEW = {
  packets: ["frame_number", "ts", "netns", "interface", "ip_src", "ip_dst", "protocols", "frame_len", "info"],
  flows: ["ts", "duration", "netns", "interface", "vlan", "vni", "proto", "orig_h", "orig_p", "resp_h", "resp_p", "service",
    "conn_state", "orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "http_host", "tls_server_name", "dns_query"],
  http: ["ts", "orig_h", "resp_h", "resp_p", "method", "host", "uri", "status_code", "response_body_len",
    "content_type", "duration", "complete"],
  dns: ["ts", "orig_h", "resp_h", "query", "qtype_name", "rcode_name", "rtt", "answers"],
};
const OTHERS = { stats: "Statistics", sql: "SQL" };
const POLL = 1000; // ms

const state = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
delete state.token;
let columns = {};
let version = "";

const grid = new Grid(byId("rows"), {
  fetchRows: async (offset, limit) => {
    const { table, filter, where, sort } = state;
    const answer = await ask(`tables/${table}`, { filter, where, sort, offset, limit });
    version = answer.version;
    byId("count").textContent = `${answer.total.toLocaleString("en")} rows`;
    problem(growing ? "" : answer.damage.join("\n")); // of a file that is being written the end is always missing
    return answer;
  },
  decorate: async (rows) => {
    if (state.table !== "packets") return;
    const frames = rows.map((row) => row.frame_number);
    const lines = await ask("lines", { frames: frames.join() });
    for (const row of rows) row.info = lines[row.frame_number];
  },
  pick: (row) => {
    const frame = row.frame_number ?? row.request_frame ?? row.first_frame;
    delete state.uid;
    delete state.frame;
    if (state.table === "flows" || state.table === "streams") state.uid = row.uid;
    else if (frame) state.frame = frame;
    remember();
    detail(row.uid);
  },
  narrow: ({ name, type }, value) => {
    if (name === "info" || Array.isArray(value)) return;
    const said = type.startsWith("Timestamp") ? text(value).replace("Z", "") : text(value); // UTC without a zone there
    const quoted = typeof value === "string" ? `'${said.replaceAll("'", "''")}'` : said;
    const test = value === null ? `${name} IS NULL` : `${name} = ${quoted}`;
    state.where = state.where ? `(${state.where}) AND ${test}` : test;
    show();
  },
  sorted: (name) => {
    if (name === "info") return;
    state.sort = state.sort === name ? `${name} DESC` : state.sort === `${name} DESC` ? "" : name;
    show();
  },
});

function detail(uid) {
  if (state.frame) return showFrame(state.frame, uid);
  if (state.uid) return showFlow(state.uid);
  return hide();
}

function remember() {
  const kept = Object.entries(state).filter(([, value]) => value !== undefined && value !== "");
  history.replaceState(null, "", "#" + new URLSearchParams(kept));
}

// The shell's quoting: what is shown can be pasted.
const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

function command(files) {
  const words = ["sniffkit", state.table];
  if (state.table === "sql") words.push(byId("query").value);
  if (state.table === "stats") words.push("--only", byId("section").value);
  if (state.table === "stats" && !byId("layer").hidden) words.push("--layer", byId("layer").value);
  for (const option of state.table in OTHERS ? [] : ["filter", "where", "sort"]) {
    if (state[option]) words.push(`--${option}`, state[option]);
  }
  byId("command").textContent = [...words, ...files].map(quote).join(" ");
}

let files = [];
let growing = false;

async function show() {
  remember();
  problem("");
  for (const tab of byId("tabs").children) tab.toggleAttribute("aria-current", tab.dataset.table === state.table);
  byId("ask").hidden = state.table in OTHERS;
  byId("asksql").hidden = state.table !== "sql";
  byId("askstats").hidden = state.table !== "stats";
  byId("filter").value = state.filter ?? "";
  byId("where").value = state.where ?? "";
  command(files);
  try {
    if (state.table === "stats") await stats();
    else if (state.table === "sql") await sql();
    else {
      byId("count").textContent = "reading …";
      await grid.show(shownColumns(), state.sort);
    }
    if (state.frame || state.uid) await detail();
  } catch (error) {
    problem(error.message);
    if (!(state.table in OTHERS)) byId("count").textContent = "";
  }
}

function shownColumns() {
  const known = columns[state.table].map(([name, type, title]) => ({ name, type, title }));
  if (state.table === "packets") known.push({ name: "info", type: "Utf8", title: "what sniffkit read prints" });
  const few = FEW[state.table];
  if (!few || byId("all").checked) return known;
  return few.map((name) => known.find((column) => column.name === name));
}

async function stats() {
  const section = byId("section").value;
  byId("layer").hidden = !["conversations", "endpoints"].includes(section);
  command(files);
  drawStats(byId("rows"), section, await ask(`stats/${section}`, { layer: byId("layer").value }));
}

async function sql() {
  command(files);
  const query = byId("query").value;
  if (query.trim()) drawStats(byId("rows"), "sql", await ask("sql", { query }));
}

const told = (task) => task().catch((error) => problem(error.message));

async function poll() {
  try {
    const now = await ask("capture");
    files = now.files;
    growing = Boolean(now.live?.running);
    byId("what").textContent = files.join(" ");
    if (now.live) {
      byId("live").hidden = false;
      byId("live").classList.toggle("ended", !now.live.running);
      byId("stop").hidden = !now.live.running;
      byId("live").querySelector("span").textContent =
        ` ${now.live.points.join(", ")}: ${now.live.frames.toLocaleString("en")} frames`;
    }
    if (version && now.version !== version && !(state.table in OTHERS)) await grid.refresh();
    return true;
  } catch (error) {
    problem(error.message);
    return false;
  }
}

async function begin() {
  if (!(await poll())) return;
  columns = await ask("columns");
  if (!(state.table in columns) && !(state.table in OTHERS)) state.table = "packets";
  const names = [...Object.keys(columns).map((name) => [name, name]), ...Object.entries(OTHERS)];
  byId("tabs").replaceChildren(...names.map(([table, title]) => element("button", { "data-table": table, onclick: () => {
    Object.assign(state, { table, where: "", sort: "" });
    delete state.frame;
    delete state.uid;
    hide();
    show();
  } }, title)));
  fillStats();
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    Object.assign(state, { filter: byId("filter").value.trim(), where: byId("where").value.trim() });
    show();
  });
  byId("clear").addEventListener("click", () => {
    Object.assign(state, { filter: "", where: "", sort: "" });
    show();
  });
  byId("all").addEventListener("change", show);
  byId("asksql").addEventListener("submit", (event) => {
    event.preventDefault();
    problem("");
    told(sql);
  });
  byId("askstats").addEventListener("change", () => {
    problem("");
    told(stats);
  });
  byId("stop").addEventListener("click", () => told(() => ask("stop", {}, { method: "POST" })));
  await show();
  setInterval(poll, POLL);
}

told(begin);
