// What the server is asked. The token comes with the address, and stays with this tab.

import { parsed } from "./numbers.js";

const LONGEST = 500_000; // letters of an address, as server.py takes them
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) sessionStorage.setItem("token", given);
const token = sessionStorage.getItem("token") ?? "";

export async function ask(path, query = {}, options = {}) {
  const wanted = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const address = "api/" + path + (wanted.length ? "?" + new URLSearchParams(wanted) : "");
  if (address.length > LONGEST) throw new Error(`more than ${LONGEST / 1000} kB: too long to be asked`);
  let answer;
  try {
    answer = await fetch(address, { ...options, headers: { Authorization: `Bearer ${token}` } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("sniffkit does not answer: has it ended?");
  }
  const said = await answer.text().then(parsed).catch(() => ({ error: `${answer.status} ${answer.statusText}` }));
  if (!answer.ok) throw new Error(said.error);
  return said;
}
