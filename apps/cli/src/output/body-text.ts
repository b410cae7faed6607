import { indentJson } from "./indent-json.ts";
import { printable } from "./printable.ts";

const MAX_HEX_BYTES = 1_024;

/** A body's text when it is UTF-8, else null. */
export function decodeUtf8(body: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return null;
  }
}

/** A body for people: JSON indented, other text as it is, anything else as hex; nothing in it reaches the terminal raw. */
export function formatBody(body: Uint8Array): string {
  if (body.length === 0) return "(empty)";
  const text = decodeUtf8(body);
  if (text === null) return hexDump(body);
  return printable(indentJson(text) ?? text, { keepLines: true });
}

function hexDump(body: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(body.length, MAX_HEX_BYTES); at += 16) {
    const bytes = [...body.subarray(at, at + 16)];
    const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = bytes.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${ascii}`);
  }
  if (body.length > MAX_HEX_BYTES) lines.push(`… ${body.length - MAX_HEX_BYTES} more bytes (--json prints all)`);
  return lines.join("\n");
}
