import type { SendReport } from "@penstock/simulator";
import type { EventSummary } from "@penstock/store";
import { expect, test } from "vitest";
import { describeManySent, describeOneSent } from "./describe-sent.ts";
import type { SentEvents } from "./sent-events.ts";

const now = new Date("2026-06-01T12:00:00Z");

function report(over: Partial<SendReport> = {}): SendReport {
  const latency = { p50: 2.14, p99: 8.4, max: 22 };
  const firstBody = '{"status":"accepted"}';
  const deliveries = { acknowledged: 1, failed: 0 };
  const sent = { sent: 1, retried: 0, deliveries, seed: 7, byStatus: { 200: 1 }, failed: {}, eventIds: ["evt_1"] };
  return { ...sent, latency, firstBody, durationMs: 5, ...over };
}

function event(over: Partial<EventSummary> = {}): EventSummary {
  return {
    seq: 7,
    day: "2026-06-01",
    source: "buzzbip",
    id: "evt_1",
    type: "message.received",
    status: "processed",
    receivedAt: "2026-06-01T11:57:00.000Z",
    createdAt: null,
    bytes: 2,
    quarantine: null,
    erased: null,
    madeBy: null,
    mendedBy: null,
    deliveries: [
      { subscriber: "inbox", state: "succeeded", attempts: 1, nextAttemptAt: null, heldBy: null, late: false },
    ],
    ...over,
  };
}

function events(over: Partial<SentEvents> = {}): SentEvents {
  const counts = { acknowledged: 1, processed: 1, unfinished: 0, dead: 0, pending: 0, quarantined: 0, known: 0 };
  return { ...counts, settledMs: 38.2, event: event(), ...over };
}

test.each<[string, SendReport, SentEvents | null, string]>([
  ["processed", report(), events(), "200 accepted  evt_1  processed within 38 ms: inbox succeeded"],
  [
    "taken by no handler",
    report(),
    events({ event: event({ deliveries: [] }) }),
    "200 accepted  evt_1  processed within 38 ms: no handler takes it",
  ],
  ...(["retrying", "dead"] as const).map((state): [string, SendReport, SentEvents, string] => [
    `processed, but for a delivery that is ${state}`,
    report(),
    events({ event: event({ deliveries: [{ ...event().deliveries[0]!, state }] }) }),
    `200 accepted  evt_1  ${state === "dead" ? "dead letter" : "in progress"} after 38 ms: inbox ${state}`,
  ]),
  [
    "known before",
    report(),
    events({ processed: 0, known: 1 }),
    "200 accepted  evt_1  known before, 3 min ago: inbox succeeded",
  ],
  [
    "quarantined",
    report(),
    events({
      event: event({ status: "quarantined", quarantine: { reason: "not-json", detail: null, dismissedAt: null } }),
    }),
    "200 accepted  evt_1  quarantined (not-json)",
  ],
  [
    "not processed",
    report(),
    events({ settledMs: null }),
    "200 accepted  evt_1  not processed yet: is the worker running, and does its queue work? `npm start` and /readyz tell",
  ],
  ["of unknown fate", report(), null, "200 accepted  evt_1"],
  [
    "refused",
    report({ byStatus: { 401: 1 }, eventIds: [], firstBody: '{"title":"Unauthorized","detail":"no \\u001b[31m"}' }),
    null,
    "401 Unauthorized: no \\u001b[31m",
  ],
  [
    "answered by something else",
    report({ byStatus: { 404: 1 }, eventIds: [], firstBody: "<html>" }),
    null,
    "404 <html>",
  ],
  ["not answered", report({ byStatus: {}, failed: { TIMEOUT: 1 }, eventIds: [] }), null, "no answer (TIMEOUT)"],
])("one event that was %s is told in one line", (_, sent, became, line) => {
  expect(describeOneSent(sent, became, now)).toBe(line);
});

test("of many events the counts are told", () => {
  const sent = report({
    sent: 12,
    byStatus: { 200: 9, 503: 1 },
    failed: { TIMEOUT: 2 },
    eventIds: Array.from({ length: 8 }, (_, at) => `evt_${at}`),
    durationMs: 6_000,
  });
  const became = events({
    acknowledged: 8,
    processed: 5,
    unfinished: 3,
    dead: 1,
    pending: 2,
    known: 1,
    settledMs: null,
  });
  expect(describeManySent(sent, became).split("\n")).toEqual([
    "sent     12 in 6 s (2/s)",
    "answers  200 × 9, 503 × 1, TIMEOUT × 2",
    "latency  p50 2.1 ms, p99 8.4 ms, max 22 ms",
    "events   8 acknowledged: 1 processed, 3 in progress, 1 with a dead letter, 2 pending, 1 known before",
  ]);
});
