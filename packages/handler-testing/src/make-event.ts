import type { EventOf, EventType } from "@penstock/handler-sdk";
import type { VerifiedEvent } from "@penstock/intake";
import { type BuzzBipEventType, isBuzzBipEventType } from "@penstock/schemas";
import { makeEvent, randomId } from "@penstock/schemas/fixtures";
import { requestOfBody, type Sources } from "@penstock/sources";

/** What is said of an event that is sent; the rest is made up. */
export interface EventOverrides<T extends EventType> {
  /** A new one unless given. The same id again is a duplicate, as it is in production. */
  readonly id?: string;
  /** The provider's time; now unless given. */
  readonly createdAt?: Date | string;
  /** BuzzBip's: laid over the data of a realistic example; `undefined` leaves a field out. Others': all of the body. */
  readonly data?: T extends BuzzBipEventType
    ? { readonly [Key in keyof EventOf<T>["data"]]?: EventOf<T>["data"][Key] | undefined }
    : EventOf<T>["data"];
  /** The exact body, instead of `data`: whatever a provider may have signed. */
  readonly body?: string | Uint8Array;
  /** The name of the source that sends it; the first whose events have this type unless given. */
  readonly source?: string;
}

/** An event as it was sent. */
export interface SentEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly createdAt: Date;
}

/** An event as it stands after its signature has been verified. */
export function toVerified<T extends EventType>(
  type: T,
  overrides: EventOverrides<T>,
  sources: Sources,
): VerifiedEvent & { readonly id: string; readonly createdAt: Date } {
  const { source: name = sourceOf(type, sources), id = randomId("evt") } = overrides;
  const source = sources.find(name);
  if (source === undefined) {
    const known = sources.list.map((one) => one.name).join(", ");
    throw new Error(`there is no source ${name}: give testHandler \`sources\`, it has ${known}`);
  }
  const createdAt = new Date(overrides.createdAt ?? Date.now());
  const body = toBody(type, id, createdAt, overrides);
  // Id, type and time of some providers stand in headers, of which there are none here.
  const { subjects, problem } = source.identify(requestOfBody(body));
  const unreadable = problem === "not-utf8" || problem === "not-json" ? problem : null;
  const identity = { id, type, createdAt, timeUnread: false, subjects, problem: unreadable };
  return { id, createdAt, source: name, identity, body, traceparent: null };
}

function toBody<T extends EventType>(type: T, id: string, createdAt: Date, overrides: EventOverrides<T>): Buffer {
  if (overrides.body !== undefined) return Buffer.from(overrides.body);
  if (!isBuzzBipEventType(type)) return Buffer.from(JSON.stringify(overrides.data ?? {}));
  const data = overrides.data as Record<string, unknown> | undefined;
  return Buffer.from(JSON.stringify(makeEvent(type, { id, createdAt: createdAt.toISOString(), data })));
}

function sourceOf(type: string, { list }: Sources): string {
  const provider = isBuzzBipEventType(type) ? "buzzbip" : type.slice(0, type.indexOf("."));
  const found = list.find(({ source }) => source.provider === provider);
  if (found === undefined) {
    throw new Error(`no source sends ${type}: give testHandler the \`sources\` of your penstock.sources.ts`);
  }
  return found.name;
}
