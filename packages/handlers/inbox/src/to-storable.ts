/**
 * The same JSON value with U+FFFD for what Postgres cannot store in text: NUL characters and halves of surrogate pairs,
 * in values and in keys. Without this, one such character in the text of a message would lose the whole message.
 */
export function toStorable<T>(value: T): T {
  const json = JSON.stringify(value);
  // JSON.stringify escapes exactly these as \u0000 and \ud800 to \udfff. An escaped backslash is taken along, since what
  // follows it is text.
  const clean = json.replace(/\\(?:\\|u0000|ud[89a-f][0-9a-f]{2})/g, (escape) =>
    escape === "\\\\" ? escape : "\\ufffd",
  );
  return clean === json ? value : (JSON.parse(clean) as T);
}
