const OWNER = "the transaction belongs to the worker, which commits it once the handler has returned";
const NEXT = "it would outlast the transaction on a connection that others get next";
const DATA = "its connection carries rows and no files; insert or select them";

/** Statements that a handler must not run, by their first word, and why. */
const FORBIDDEN = new Map([
  ...["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"].map(
    (word) => [word, OWNER] as const,
  ),
  ...["set", "reset", "discard", "listen", "unlisten", "load"].map((word) => [word, NEXT] as const),
  // Penstock's own statements are prepared on the same connection.
  ...["prepare", "execute", "deallocate"].map((word) => [word, NEXT] as const),
  ["copy", DATA],
]);
/** First words that mean something else inside a block of PL/pgSQL, or that Postgres refuses there. */
const OTHERWISE_IN_BLOCKS = new Set("begin end commit rollback abort start savepoint release execute".split(" "));
/** A first word inside a block that names a column or a variable: assigned to after `;`, read after THEN or ELSE. */
const NAME_IN_BLOCK = /^\w+\s*(?:$|:?=|[-+/<>|,)]|(?:as|and|or|is|from|when|else|end)\b)/i;

// CREATE TEMP TABLE, VIEW or SEQUENCE …, SELECT … INTO TEMP, and whatever is made in pg_temp by its name.
const TEMPORARY =
  /^(?:create\s+(?:or\s+replace\s+)?|(?:select|with)\b[^]*(?<!\b(?:insert|merge)\s+)\binto\s+)(?:global\s+|local\s+)?temp(?:orary)?\s|^(?:create|select|with)\b[^]*\bpg_temp"?\s*\./i;

/**
 * Says why a statement is refused, or returns null when it is allowed. Refused is what would end or disturb the transaction that
 * handlers share: transaction control, and what outlasts the transaction on the connection (SET in all forms, prepared
 * statements, cursors WITH HOLD, advisory locks of the session, temporary objects). Statements reach Postgres one by one
 * (extended protocol), so only the first word can be a command, or first words in a DO block. What a called function does is
 * not seen here.
 */
export function refusalOf(sql: string): string | null {
  const { code, quoted } = readCode(sql);
  const statement = code.replace(/^[\s;]+/, "").replace(/^explain\b\s*(?:\([^)]*\)\s*|analy[sz]e\s+|verbose\s+)*/i, "");
  const refusal = refusalOfCode(statement);
  if (refusal !== null || !/^do\b/i.test(statement)) return refusal;
  for (const body of quoted) {
    for (const part of readCode(body).code.split(/;|\b(?:begin|then|else|loop)\b/i)) {
      const inside = refusalOfCode(part.trim(), isOtherwiseInBlock);
      if (inside !== null) return inside;
    }
  }
  return null;
}

/** True for code inside a block whose first word is no command there. */
function isOtherwiseInBlock(code: string, word: string): boolean {
  return OTHERWISE_IN_BLOCKS.has(word) || NAME_IN_BLOCK.test(code);
}

function refusalOfCode(code: string, isOtherwise: typeof isOtherwiseInBlock = () => false): string | null {
  const word = /^[a-z_]+/i.exec(code)?.[0].toLowerCase() ?? "";
  const reason = isOtherwise(code, word) ? undefined : FORBIDDEN.get(word);
  if (reason !== undefined) return `${word.toUpperCase()} is not allowed in ctx.tx: ${reason}`;
  if (/^declare\b[^]*\bwith\s+hold\b/i.test(code)) {
    return `a cursor WITH HOLD is not allowed in ctx.tx: ${NEXT}`;
  }
  if (/\bset_config"?\s*\(/i.test(code)) return `set_config() is not allowed in ctx.tx: ${NEXT}`;
  if (/\bpg_(?:try_)?advisory_lock(?:_shared)?"?\s*\(/i.test(code)) {
    return `pg_advisory_lock() is not allowed in ctx.tx: ${NEXT}; use pg_advisory_xact_lock()`;
  }
  if (TEMPORARY.test(code) && !/\bon\s+commit\s+drop\b/i.test(code)) {
    return `what is temporary is not allowed in ctx.tx without ON COMMIT DROP: ${NEXT}`;
  }
  return null;
}

// Comments, strings of all forms, and words (no comment or string begins inside a word). Quoted names are code.
const TOKEN =
  /--[^\n\r]*|\/\*|e'(?:[^'\\]|\\[^]|'')*'|'(?:[^']|'')*'|\$((?:[a-z_]\w*)?)\$([^]*?)\$\1\$|"(?:[^"]|"")*"|[a-z_\x80-\uffff][\w$\x80-\uffff]*/gi;

/** SQL with a space for each comment and `''` for each string, and the contents of the strings. */
function readCode(sql: string): { readonly code: string; readonly quoted: readonly string[] } {
  const quoted: string[] = [];
  let code = "";
  let at = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(sql); match !== null; match = TOKEN.exec(sql)) {
    const [token, , dollarQuoted] = match;
    code += sql.slice(at, match.index);
    at = TOKEN.lastIndex;
    if (token === "/*") {
      at = endOfComment(sql, match.index);
      TOKEN.lastIndex = at;
      code += " ";
    } else if (token.startsWith("--")) {
      code += " ";
    } else if (dollarQuoted !== undefined) {
      quoted.push(dollarQuoted);
      code += "''";
    } else if (token.endsWith("'")) {
      quoted.push(token.slice(token.indexOf("'") + 1, -1).replaceAll("''", "'"));
      code += "''";
    } else {
      code += token;
    }
  }
  return { code: code + sql.slice(at), quoted };
}

/** The end of the comment that begins at an index: such comments nest. */
function endOfComment(sql: string, start: number): number {
  let depth = 0;
  for (let at = start; at < sql.length; at++) {
    if (sql.startsWith("/*", at)) {
      depth++;
      at++;
    } else if (sql.startsWith("*/", at)) {
      depth--;
      at++;
      if (depth === 0) return at + 1;
    }
  }
  return sql.length;
}
