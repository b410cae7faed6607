import type { AnyEvent } from "@penstock/handler-sdk";
import { type MaskedPath, parseTime } from "@penstock/schemas";
import type { EngineContext } from "../contract/engine-context.ts";
import type { QuarantineRecord, StoredEvent } from "../contract/engine-store.ts";

/** An event as handlers see it, with the row it was read from. */
export interface DecodedEvent {
  readonly stored: StoredEvent;
  readonly event: AnyEvent;
  /** The provider of its source. */
  readonly provider: string;
  /** The exact JSON text of `event.data` as it was sent; null where the body is an envelope or is not JSON. */
  readonly json: Buffer | null;
  /** The paths of fields that its source masks. */
  readonly sensitive: readonly MaskedPath[];
}

export type Decoding =
  { readonly ok: true; readonly decoded: DecodedEvent } | { readonly ok: false; readonly quarantine: QuarantineRecord };

const PROBLEMS: Readonly<Record<string, string>> = {
  "not-utf8": "the body is not valid UTF-8",
  "not-json": "the body is not JSON",
  "no-envelope": "no id or no type stands where its source looks for them: both have to be text",
  "id-conflict": "another event with this id and a different body was accepted before",
  erased: "what it said was erased, because it was about somebody who asked for that",
  "too-old": "createdAt is older than the dedupe window, so nothing can vouch that it is new",
};

/** Turns stored bytes into the event that handlers see, or says why the event belongs in quarantine. */
export function decodeEvent(stored: StoredEvent, findSource: EngineContext["findSource"]): Decoding {
  const quarantine = (reason: string, detail: string): Decoding => ({
    ok: false,
    quarantine: { event: stored, reason, detail },
  });
  if (stored.problem !== null) return quarantine(stored.problem, PROBLEMS[stored.problem] ?? stored.problem);
  const source = findSource(stored.source);
  if (source === undefined) return quarantine("unknown-source", `penstock.sources.ts lists no source ${stored.source}`);
  const check = source.check(stored);
  if (!check.ok) return quarantine(check.reason, check.detail);
  const event = {
    ...check.event,
    // `new Date` does not read all forms of a time that sources take.
    createdAt: parseTime(check.event.createdAt) ?? new Date(stored.receivedAt),
    source: stored.source,
    seq: stored.seq,
    receivedAt: stored.receivedAt,
  };
  // Not enumerable: JSON of the event would hold every byte of the body once more, as numbers.
  Object.defineProperty(event, "body", { value: stored.body, enumerable: false });
  const { provider, sensitive } = source;
  const json = check.json ?? null;
  // The source's schema has checked exactly what the type promises.
  return { ok: true, decoded: { stored, event: event as unknown as AnyEvent, provider, json, sensitive } };
}

/** An event made of its row alone, without a call of its source's code. */
export function untouchedEvent(stored: StoredEvent): Decoding {
  if (stored.problem !== null) {
    return {
      ok: false,
      quarantine: { event: stored, reason: stored.problem, detail: PROBLEMS[stored.problem] ?? null },
    };
  }
  const { eventId: id, type, source, seq, receivedAt } = stored;
  const event = { id, type, source, seq, receivedAt, createdAt: stored.createdAt ?? receivedAt };
  return {
    ok: true,
    decoded: { stored, event: event as unknown as AnyEvent, provider: "", json: null, sensitive: [] },
  };
}
