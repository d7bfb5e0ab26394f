// Elements of the page. Text from captures only ever becomes text nodes.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// A file's name may have bytes that are no UTF-8: they come as lone surrogates.
export const printable = (text) =>
  text.replace(/[\udc80-\udcff]/gu, (one) => `\\x${(one.charCodeAt(0) & 0xff).toString(16)}`);

export function problem(text) {
  byId("problem").textContent = printable(text ?? "");
  byId("problem").hidden = !text;
}
