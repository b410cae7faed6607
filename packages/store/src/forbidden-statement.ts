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

const OWNER = "the transaction belongs to the worker, which commits it once the handler has returned";
const NEXT = "it would outlast the transaction on a connection that others get next";

/**
 * Says why a statement is refused that would end or disturb the transaction that a handler shares with others:
 * transaction control, and whatever outlasts it on the connection, i.e. SET in all its forms, advisory locks of the
 * session and temporary tables. Null when it is allowed. Statements reach Postgres one by one (extended protocol), so
 * only the first word can be a command.
 */
export function refusalOf(sql: string): string | null {
  const rest = skipLeading(sql);
  const word = /^[a-z_]+/i.exec(rest)?.[0].toLowerCase();
  if (word === undefined) return null;
  if (FORBIDDEN.has(word)) return `${word.toUpperCase()} is not allowed in ctx.tx: ${OWNER}`;
  if (word === "prepare" && /^prepare\s+transaction\b/i.test(rest)) {
    return `PREPARE TRANSACTION is not allowed in ctx.tx: ${OWNER}`;
  }
  if (/\bset_config"?\s*\(/i.test(rest)) return `set_config() is not allowed in ctx.tx: ${NEXT}`;
  if (/\bpg_(?:try_)?advisory_lock(?:_shared)?"?\s*\(/i.test(rest)) {
    return `pg_advisory_lock() is not allowed in ctx.tx: ${NEXT}; use pg_advisory_xact_lock()`;
  }
  if (TEMPORARY.test(rest) && !/\bon\s+commit\s+drop\b/i.test(rest)) {
    return `a temporary table without ON COMMIT DROP is not allowed in ctx.tx: ${NEXT}`;
  }
  return null;
}

// CREATE TEMP TABLE, VIEW or SEQUENCE …, and SELECT … INTO TEMP.
const TEMPORARY =
  /^(?:create\s+(?:or\s+replace\s+)?|(?:select|with)\b[^]*\binto\s+)(?:global\s+|local\s+)?temp(?:orary)?\s/i;

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
