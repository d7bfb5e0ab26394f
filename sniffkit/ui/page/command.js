// What gives the same on the command line.

import { printable, STRANGE } from "./element.js";

// The shell's quoting: what is shown can be pasted. Characters that do not show are escaped.
function quote(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (!word.includes("\t") && word.search(STRANGE) < 0) return `'${word.replaceAll("'", "'\\''")}'`;
  return `$'${printable(word.replace(/[\\']/g, "\\$&")).replaceAll("\t", "\\t").replaceAll("\n", "\\n")}'`;
}

// step: s of a row of io.
export function commandOf(state, files, step) {
  const words = ["sniffkit", state.table];
  const given = state.table === "sql" ? [state.query ?? "", ...files] : files;
  if (state.table === "stats") {
    words.push("--only", state.section);
    if (["conversations", "endpoints"].includes(state.section)) words.push("--layer", state.layer);
    if (state.section === "io" && step !== 1) words.push("--interval", String(step));
  } else if (state.table !== "sql") {
    for (const option of ["filter", "where", "sort"]) if (state[option]) words.push(`--${option}=${state[option]}`);
  }
  if (given.some((word) => word.startsWith("-"))) words.push("--");
  return [...words, ...given].map(quote).join(" ");
}
