// What gives the same on the command line.

import { printable } from "./element.js";

// The shell's quoting: what is shown can be pasted. Control characters would be read by the terminal, not by the quotes.
function quote(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (!/[\x00-\x09\x0b-\x1f\x7f]|[\udc80-\udcff]/u.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  const hex = (mark) => `\\x${mark.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return `$'${printable(word.replace(/[\\']/g, "\\$&").replace(/[\x00-\x1f\x7f]/g, hex))}'`;
}

export function commandOf(state, files) {
  const words = ["sniffkit", state.table];
  const given = state.table === "sql" ? [state.query ?? "", ...files] : files;
  if (state.table === "stats") {
    words.push("--only", state.section);
    if (["conversations", "endpoints"].includes(state.section)) words.push("--layer", state.layer);
  } else if (state.table !== "sql") {
    for (const option of ["filter", "where", "sort"]) if (state[option]) words.push(`--${option}=${state[option]}`);
  }
  if (given.some((word) => word.startsWith("-"))) words.push("--");
  return [...words, ...given].map(quote).join(" ");
}
