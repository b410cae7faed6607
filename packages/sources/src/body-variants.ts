import { isUtf8 } from "node:buffer";
import { parseJsonBody } from "./parse-body.ts";

/** How a program writes JSON. */
interface JsonStyle {
  readonly how: string;
  readonly item: string;
  readonly key: string;
  readonly indent: string;
}

const STYLES: readonly JsonStyle[] = [
  { how: "without blanks", item: ",", key: ":", indent: "" },
  { how: "with a blank after each comma and colon, as Python does", item: ", ", key: ": ", indent: "" },
  { how: "indented by two", item: ",", key: ": ", indent: "  " },
  { how: "indented by four", item: ",", key: ": ", indent: "    " },
];

const ESCAPES: readonly (readonly [string, (text: string) => string])[] = [
  ["", (text) => text],
  [", all that is not ASCII escaped", (text) => text.replace(/[^\0-\x7f]/g, toEscape)],
  [", slashes escaped", (text) => text.replaceAll("/", "\\/")],
  [
    ", all that is not ASCII and slashes escaped",
    (text) => text.replaceAll("/", "\\/").replace(/[^\0-\x7f]/g, toEscape),
  ],
  [", <, > and & escaped, as Go does", (text) => text.replace(/[<>&]/g, toEscape)],
];

/** What a body may have been before something changed it, with the change in words. */
export function* bodyVariants(body: Buffer): Generator<readonly [string, Buffer]> {
  if (!isUtf8(body)) {
    yield ["in UTF-8, where it now is in Latin-1", Buffer.from(body.toString("latin1"), "utf8")];
    return;
  }
  const text = body.toString();
  const bare = text.replace(/[\r\n]+$/, "");
  for (const [how, changed] of [
    ["without a newline at its end", bare],
    ["with a newline at its end", `${text}\n`],
    ["with CR LF at its end", `${text}\r\n`],
    ["with LF for each CR LF", text.replaceAll("\r\n", "\n")],
    ["with CR LF for each LF", text.replaceAll("\r\n", "\n").replaceAll("\n", "\r\n")],
    ["without a byte order mark", text.replace(/^\ufeff/, "")],
    ["without blanks around it", text.trim()],
    ["with + for each %20", text.replaceAll("%20", "+")],
    ["with %20 for each +", text.replaceAll("+", "%20")],
  ] as const) {
    yield [how, Buffer.from(changed)];
  }
  yield ["in Latin-1, where it now is in UTF-8", Buffer.from(text, "latin1")];

  const parsed = parseJsonBody(Buffer.from(bare));
  if (!parsed.ok) return;
  // Once where it is a text that holds the JSON.
  for (const value of typeof parsed.value === "string" ? [parsed.value] : [])
    yield ["as the JSON in its text", Buffer.from(value)];
  for (const sorted of [false, true]) {
    for (const style of STYLES) {
      for (const [escapes, escape] of ESCAPES) {
        const written = escape(write(parsed.value, style, sorted, ""));
        const how = `as JSON that was parsed and serialised again: ${style.how}${escapes}${sorted ? ", keys sorted" : ""}`;
        yield [how, Buffer.from(written)];
        yield [`${how}, with a newline at its end`, Buffer.from(`${written}\n`)];
      }
    }
  }
}

function write(value: unknown, style: JsonStyle, sorted: boolean, margin: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const { item, key, indent } = style;
  const inner = margin + indent;
  const entries = Array.isArray(value)
    ? value.map((each) => write(each, style, sorted, inner))
    : (sorted ? Object.keys(value).toSorted() : Object.keys(value)).map(
        (name) =>
          `${JSON.stringify(name)}${key}${write((value as Record<string, unknown>)[name], style, sorted, inner)}`,
      );
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (entries.length === 0 || indent === "") return `${open}${entries.join(item)}${close}`;
  return `${open}\n${inner}${entries.join(`${item}\n${inner}`)}\n${margin}${close}`;
}

function toEscape(character: string): string {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");
}
