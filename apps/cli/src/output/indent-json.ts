const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/gu;

/** Deeper than this nothing is indented further: a body of nothing but brackets would grow a thousandfold. */
const MAX_DEPTH = 32;

/**
 * Indents a JSON text by two blanks and changes nothing else in it: numbers too long for JavaScript, repeated keys and
 * escapes stay as they were sent, which JSON.parse and JSON.stringify would lose. Null when the text is not JSON.
 */
export function indentJson(text: string): string | null {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const parts: string[] = [];
  let depth = 0;
  let last = "";
  const newLine = (): string => `\n${"  ".repeat(Math.min(depth, MAX_DEPTH))}`;
  for (const [token] of text.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]";
    const opened = last === "{" || last === "[";
    if (closes) depth -= 1;
    if (last === "," || opened !== closes) parts.push(newLine());
    else if (last === ":") parts.push(" ");
    parts.push(token);
    if (token === "{" || token === "[") depth += 1;
    last = token;
  }
  return parts.join("");
}
