// Numbers as they were sent: JavaScript's own have 53 bits, and no zeros behind a point.

export class Digits {
  constructor(source) { this.source = source; }
  toString() { return this.source; }
  valueOf() { return Number(this.source); } // the nearest there is
  toJSON() { return JSON.rawJSON(this.source); }
}

export const isNumber = (value) => typeof value === "number" || value instanceof Digits;

// What a JSON text says; a number that would look or be another stays as its Digits.
export function parsed(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context && context.source !== String(value) ? new Digits(context.source) : value);
}

// The order of two values of a column: below 0, 0, above 0; null is the last.
export function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (a < b || a > b) return a < b ? -1 : 1;
  return a instanceof Digits || b instanceof Digits ? compareDigits(String(a), String(b)) : 0;
}

// Of numbers that are one to JavaScript. With an exponent they are its own.
function compareDigits(a, b) {
  if (/e/i.test(a + b)) return 0;
  const parts = [a, b].map((one) => one.split("."));
  const behind = Math.max(...parts.map(([, fraction = ""]) => fraction.length));
  const [x, y] = parts.map(([whole, fraction = ""]) => BigInt(whole + fraction.padEnd(behind, "0")));
  return x < y ? -1 : x > y ? 1 : 0;
}
