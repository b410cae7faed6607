const FORBIDDEN = new Set([
  "begin",
  "start",
  "commit",
  "end",
  "rollback",
  "abort",
  "savepoint",
  "release",
  "set",
  "reset",
  "discard",
  "listen",
  "unlisten",
]);

// Whitespace, comments and empty statements in front of the first word; block comments nest, hence the loop below.
const LEADING = /^(?:[\s;]+|--[^\n\r]*)/;

/**
 * Names the command when a statement would end or disturb the transaction that a handler shares with others:
 * transaction control, and SET in all its forms, whose effect would outlast the handler. Null when it is allowed.
 * Statements reach Postgres one by one (extended protocol), so only the first word can be such a command.
 */
export function forbiddenCommand(sql: string): string | null {
  const rest = skipLeading(sql);
  const word = /^[a-z_]+/i.exec(rest)?.[0].toLowerCase();
  if (word === undefined) return null;
  if (FORBIDDEN.has(word)) return word.toUpperCase();
  if (word === "prepare" && /^prepare\s+transaction\b/i.test(rest)) return "PREPARE TRANSACTION";
  if (/\bset_config\s*\(/i.test(rest)) return "set_config()";
  return null;
}

function skipLeading(sql: string): string {
  let rest = sql;
  for (;;) {
    if (rest.startsWith("/*")) {
      rest = skipBlockComment(rest);
      continue;
    }
    const match = LEADING.exec(rest);
    if (match === null) return rest;
    rest = rest.slice(match[0].length);
  }
}

function skipBlockComment(sql: string): string {
  let depth = 0;
  for (let at = 0; at < sql.length; at++) {
    if (sql.startsWith("/*", at)) {
      depth++;
      at++;
    } else if (sql.startsWith("*/", at)) {
      depth--;
      at++;
      if (depth === 0) return sql.slice(at + 1);
    }
  }
  return "";
}
