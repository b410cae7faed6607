import type { HandlerLog } from "@penstock/handler-sdk";
import { createHide, MASK } from "@penstock/schemas";
import type { DecodedEvent } from "./decode-event.ts";

/** Fields that are nested deeper are masked whole. */
const DEEPEST = 8;

/** A handler's log that masks the values of sensitive fields of these events, in messages and in fields. */
export function sensitiveLog(log: HandlerLog, events: readonly DecodedEvent[]): HandlerLog {
  const sensitive = events.filter((event) => event.sensitive.length > 0);
  if (sensitive.length === 0) return log;
  // Most handlers log nothing, so bodies are looked through at the first line.
  let hides: ((text: string) => string)[] | undefined;
  const hide = (text: string): string => {
    hides ??= sensitive.map(({ stored, sensitive: paths }) => createHide(stored.body, paths));
    return hides.reduce((hidden, one) => one(hidden), text);
  };
  const write =
    (level: keyof HandlerLog) =>
    (fields: object, message: string): void =>
      log[level](hideIn(fields, hide, 0) as object, hide(message));
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

function hideIn(value: unknown, hide: (text: string) => string, depth: number): unknown {
  if (typeof value === "string") return hide(value);
  if (typeof value === "number" || typeof value === "bigint") {
    const text = String(value);
    return hide(text) === text ? value : MASK;
  }
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (depth > DEEPEST || value instanceof Uint8Array) return MASK;
  if (Array.isArray(value)) return value.map((item) => hideIn(item, hide, depth + 1));
  const own = Object.entries(value).map(([name, item]) => [hide(name), hideIn(item, hide, depth + 1)] as const);
  if (!(value instanceof Error)) return Object.fromEntries(own);
  const error = new Error(hide(value.message));
  error.name = value.name;
  if (value.stack !== undefined) error.stack = hide(value.stack);
  if (value.cause !== undefined) error.cause = hideIn(value.cause, hide, depth + 1);
  return Object.assign(error, Object.fromEntries(own));
}
