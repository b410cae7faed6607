import { toStorableText } from "./storable-text.ts";

const MAX_TITLE = 200;

/** What differs between occurrences of one error, and what stands for it. The order matters: a UUID holds numbers. */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  // JSON.parse quotes the text around the place, quotes in it included.
  [/(?:\.{3})?".*"(?:\.{3})? is not valid JSON/g, "… is not valid JSON"],
  [/["'`]?[[{]\s*["'[{](?:.*[\]}]["'`]?|.*)/g, "…"],
  // An apostrophe within a word neither begins nor ends a quote.
  [/"[^"]*"|(?<!\w)'.*?'(?!\w)|`[^`]*`/g, "…"],
  // A quote of several lines, or one that was cut off.
  [/["`].*|(?<!\w)'.*/g, "…"],
  [/\bhttps?:\/\/[^\s)]+/g, "<url>"],
  [/\b\S+@\S+\.\S+\b/g, "<address>"],
  [/\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/gi, "<id>"],
  // cnt_5c21, ord-00017, 9f86d081884c: what has a digit and could be an id of somebody's.
  [/\b[a-z]{1,12}[_-](?=[a-z0-9_-]*\d)[a-z0-9_-]+\b/gi, "<id>"],
  [/\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{6,}\b/gi, "<id>"],
  [/\d+(?:[-.,:/]\d+)*/g, "<n>"],
];

/**
 * The first line of an error's message, without numbers, ids, addresses and what is quoted: what errors with one cause have in
 * common, and what may stand in a log or be shown to who may not see payloads.
 *
 * @example
 * normaliseMessage('no contact cnt_5c21 for "ada"'); // "no contact <id> for …"
 */
export function normaliseMessage(message: string): string {
  const line = message.trimStart().split("\n", 1)[0] ?? "";
  const short = line.slice(0, 500);
  const title = VARIABLE.reduce((text, [pattern, stands]) => text.replace(pattern, stands), short);
  return toStorableText(title.slice(0, MAX_TITLE)).trimEnd();
}
