import { BUZZBIP_EVENT_TYPES } from "@penstock/schemas";
import { expect, test } from "vitest";
import { defineHandler, type EffectDefinition, type HandlerDefinition } from "./define-handler.ts";
import { HandlerDefinitionError } from "./errors.ts";

const replies: HandlerDefinition<"message.received"> = {
  name: "replies",
  on: ["message.received"],
  handle: () => undefined,
};

const notify: EffectDefinition<"message.failed"> = {
  kind: "effect",
  name: "notify",
  on: ["message.failed"],
  handle: () => undefined,
};

/** A definition with something wrong, which the compiler would not let pass. */
function define(wrong: object): () => unknown {
  return () => defineHandler({ ...replies, ...wrong } as HandlerDefinition<"message.received">);
}

const lane = (): string => "a";
const handleBatch = (): void => undefined;

test.each([
  [{ name: undefined }, /^handler undefined: a name is lower-case letters/],
  [{ name: "" }, /^handler "": a name is/],
  [{ name: "Replies" }, /^handler "Replies": a name is/],
  [{ name: "auto replies" }, /a name is/],
  [{ name: "1-replies" }, /a name is/],
  [{ name: "a".repeat(49) }, /48 at most/],
  [{ on: undefined }, /^handler "replies": `on` must list at least one event type$/],
  [{ on: "message.received" }, /`on` must list at least one/],
  [{ on: [] }, /`on` must list at least one/],
  [{ on: ["message.received", "message.received"] }, /`on` lists an event type twice/],
  [{ on: ["message.received", "message.read"] }, /unknown event type message\.read; known are message\.received, /],
  [{ on: ["constructor"] }, /unknown event type constructor/],
  [{ on: ["stripe.charge.succeeded", "contact.lost"] }, /unknown event type contact\.lost; known are/],
  [{ retries: { attempts: 3 } }, /^handler "replies": there is no option retries; known are .*retry/],
  [{ handle: undefined }, /`handle\(event, ctx\)` is missing/],
  [{ handleBatch: "all" }, /`handleBatch` is not a function/],
  [{ schema: "Replies" }, /schema "Replies" is not a plain lower-case identifier or is taken; set another `schema`/],
  [{ schema: 'x"; DROP SCHEMA penstock' }, /not a plain lower-case identifier/],
  [{ schema: "a".repeat(64) }, /not a plain lower-case identifier/],
  [{ schema: "penstock" }, /or is taken/],
  [{ schema: "bullmq" }, /or is taken/],
  [{ schema: "public" }, /or is taken/],
  [{ schema: "information_schema" }, /or is taken/],
  [{ schema: "pg_replies" }, /or is taken/],
  [{ name: "penstock" }, /schema "penstock" .* is taken; set another `schema`/],
  [{ timeoutMs: 0 }, /`timeoutMs` must be a whole number from 1 to 30000/],
  [{ timeoutMs: 1.5 }, /`timeoutMs`/],
  [{ timeoutMs: 30_001 }, /`timeoutMs`/],
  [{ retry: { attempts: 0 } }, /`retry\.attempts` must be a whole number of at least 1/],
  [{ retry: { baseMs: Number.NaN } }, /`retry\.baseMs`/],
  [{ retry: { capMs: Number.POSITIVE_INFINITY } }, /`retry\.capMs`/],
  [{ retry: { scheduleMs: [1_000], attempts: 3 } }, /`retry` takes `scheduleMs` or `attempts` and `baseMs`, not both/],
  [{ retry: { scheduleMs: [1_000, -1] } }, /`retry\.scheduleMs` must be a list of whole numbers of at least 0/],
  [{ retry: { scheduleMs: 1_000 } }, /`retry\.scheduleMs` must be a list/],
  [{ kind: "transactionnal" }, /`kind` must be "transactional" or "effect"/],
  [{ concurrency: 2 }, /`concurrency` is for effect handlers/],
  [{ rateLimit: { max: 1, perMs: 1 } }, /`rateLimit` is for effect handlers/],
  [{ ...notify, handleBatch }, /`handleBatch` is for transactional handlers/],
  [{ ...notify, reads: ["inbox"] }, /`reads` is for transactional handlers/],
  [{ reads: "inbox" }, /`reads` must be a list of schemas/],
  [{ writes: ['x"; DROP'] }, /`writes` must be a list of schemas/],
  [{ writes: ["penstock"] }, /`writes` names schema penstock, which is not for handlers to write/],
  [{ ...notify, timeoutMs: 600_001 }, /`timeoutMs` must be a whole number from 1 to 600000/],
  [{ ...notify, concurrency: 0 }, /`concurrency` must be a whole number from 1 to 256/],
  [{ ...notify, concurrency: 257 }, /`concurrency` must be/],
  [{ ...notify, rateLimit: { max: 10 } }, /`rateLimit` needs `max` and `perMs`, whole numbers of at least 1/],
  [{ ...notify, rateLimit: 10 }, /`rateLimit` needs/],
  [{ order: "strict" }, /`order` and `onDead` are for handlers with a `lane`/],
  [{ onDead: "block" }, /`order` and `onDead` are for handlers with a `lane`/],
  [{ lane: "contactId" }, /`lane` must be a function that returns a string, or null/],
  [{ lane, order: "newest" }, /`order` must be "strict" or "newest-wins"/],
  [{ lane, onDead: "skip" }, /`onDead` must be "block" or "continue"/],
  [{ ...notify, lane, order: "newest-wins", onDead: "block" }, /`onDead` is for strict lanes/],
  [{ lane, handleBatch }, /`handleBatch` would never be called with a `lane`/],
])("a definition with %o is refused by name and with the reason", (wrong, message) => {
  expect(define(wrong)).toThrow(HandlerDefinitionError);
  expect(define(wrong)).toThrow(message);
  expect(define(wrong)).toThrow(expect.objectContaining({ code: "HANDLER_DEFINITION" }));
});

test("what is not given has defaults", () => {
  expect(defineHandler({ ...replies, name: "auto-replies" })).toEqual({
    name: "auto-replies",
    kind: "transactional",
    on: ["message.received"],
    schema: "auto_replies",
    migrations: {},
    retry: { attempts: 10, baseMs: 1_000, capMs: 3_600_000 },
    timeoutMs: 10_000,
    lanes: null,
    reads: [],
    writes: [],
    handle: replies.handle,
  });
});

test("what an effect handler does not give has defaults", () => {
  expect(defineHandler(notify)).toEqual({
    ...notify,
    schema: "notify",
    migrations: {},
    retry: { attempts: 10, baseMs: 1_000, capMs: 3_600_000 },
    timeoutMs: 30_000,
    lanes: null,
    concurrency: 10,
    rateLimit: null,
  });
});

test("a schedule of waits says how many tries there are", () => {
  const { retry } = defineHandler({ ...notify, retry: { scheduleMs: [0, 1_000, 60_000] } });
  expect(retry).toEqual({ attempts: 4, baseMs: 1_000, capMs: 3_600_000, scheduleMs: [0, 1_000, 60_000] });
});

test.each([
  [{}, { order: "strict", onDead: "block" }],
  [
    { order: "strict", onDead: "continue" },
    { order: "strict", onDead: "continue" },
  ],
  [{ order: "newest-wins" }, { order: "newest-wins", onDead: "continue" }],
] as const)("a lane with %j is %j, for both kinds of handlers", (given, expected) => {
  for (const definition of [replies, notify]) {
    const { lanes } = defineHandler({ ...definition, lane, ...given } as HandlerDefinition<"message.received">);
    expect(lanes).toEqual({ of: lane, ...expected });
    expect(Object.isFrozen(lanes)).toBe(true);
  }
});

test("what is given is kept, and a retry policy may be given in part", () => {
  const given = {
    ...replies,
    on: BUZZBIP_EVENT_TYPES,
    schema: "answers",
    migrations: { "0001-answers": { up: () => Promise.resolve() } },
    timeoutMs: 30_000,
    handleBatch: () => undefined,
    reads: ["inbox"],
    writes: ["app"],
  };
  expect(defineHandler({ ...given, retry: { attempts: 3 } })).toEqual({
    ...given,
    kind: "transactional",
    lanes: null,
    retry: { attempts: 3, baseMs: 1_000, capMs: 3_600_000 },
  });
});

test("a handler is frozen, and what it was made from can change without changing it", () => {
  const on: "message.received"[] = ["message.received"];
  const migrations = { "0001-first": { up: () => Promise.resolve() } };
  const handler = defineHandler({ ...replies, on, migrations });
  on.length = 0;
  Object.assign(migrations, { "0002-second": { up: () => Promise.resolve() } });
  expect(handler.on).toEqual(["message.received"]);
  expect(Object.keys(handler.migrations)).toEqual(["0001-first"]);
  const effect = defineHandler({ ...notify, rateLimit: { max: 1, perMs: 1_000 }, retry: { scheduleMs: [1] } });
  const parts = [handler, handler.on, handler.retry, handler.migrations, effect, effect.rateLimit];
  for (const part of [...parts, effect.retry.scheduleMs]) expect(Object.isFrozen(part)).toBe(true);
});
