// Elements of the page. Text from captures only ever becomes text nodes.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.map((child) => (typeof child === "string" ? printable(child) : child)));
  return made;
}

// What shows nothing of its own, or turns around what is beside it, as in the tables of a terminal; ends of lines stay.
// A file's name may have bytes that are no UTF-8: they come as lone surrogates.
export const STRANGE = /[^\P{C}\t\n]|[^\P{Z} ]/gu;

export const printable = (text) => text.replace(STRANGE, (one) => {
  const code = one.codePointAt(0);
  const hex = (number, digits) => number.toString(16).padStart(digits, "0");
  if (code < 0x80 || (code >= 0xdc80 && code <= 0xdcff)) return `\\x${hex(code & 0xff, 2)}`;
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
});

export function problem(text) {
  byId("problem").textContent = printable(text ?? "");
  byId("problem").hidden = !text;
}
