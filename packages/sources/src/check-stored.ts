import type { EventCheck, StoredContent } from "./define-source.ts";
import { describeIssues } from "./describe-issues.ts";
import type { ParsedBody } from "./parse-body.ts";

/** A schema of zod or of any other library that knows Standard Schema (https://standardschema.dev). */
export interface Schema {
  readonly "~standard": { validate(value: unknown): SchemaResult | Promise<SchemaResult> };
}

type SchemaResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly PathPart[] | undefined }[] };

type PathPart = PropertyKey | { readonly key: PropertyKey };

/** The event of a stored body, checked by the schema of its type where there is one. Never throws. */
export function checkStored(
  { eventId, type, createdAt }: StoredContent,
  prefix: string,
  parsed: ParsedBody,
  schemas: Readonly<Record<string, Schema>>,
): EventCheck {
  if (!parsed.ok) return unreadable(parsed.problem);
  if (eventId === null || type === null) return invalid("the event has no id or no type");
  const event = { id: eventId, type, createdAt, data: parsed.value };
  const sent = parsed.json === undefined ? {} : { json: parsed.json };
  const ownType = type.slice(prefix.length);
  const schema = Object.hasOwn(schemas, ownType) ? schemas[ownType] : undefined;
  if (schema === undefined) return { ok: true, event, ...sent };
  try {
    const result = schema["~standard"].validate(parsed.value);
    if (result instanceof Promise) return invalid(`the schema of ${type} is asynchronous, which is not supported`);
    if (result.issues === undefined) return { ok: true, event: { ...event, data: result.value }, ...sent };
    return invalid(describeIssues(result.issues.map(({ message, path = [] }) => ({ message, path: path.map(toKey) }))));
  } catch {
    // What it said might tell of the body.
    return invalid(`the schema of ${type} threw`);
  }
}

/** What is told of a body that cannot be read. */
export function unreadable(problem: "not-utf8" | "not-json"): EventCheck {
  return invalid(problem === "not-utf8" ? "the body is not UTF-8" : "the body is not JSON");
}

function invalid(detail: string): EventCheck {
  return { ok: false, reason: "invalid-shape", detail };
}

function toKey(part: PathPart): PropertyKey {
  return typeof part === "object" ? part.key : part;
}
