import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createGuard, createSender, isSuccess, signatureHeaders } from "@penstock/dispatch";
import { wallClockMs } from "@penstock/schemas";
import { makeEvent } from "@penstock/schemas/fixtures";
import { SIMULATED } from "@penstock/simulator";
import { createDraw } from "./draw.ts";

/** How many times faster than the provider this sender waits and tries again. */
const HASTE = 4;
const TIMEOUT_MS = 10_000 / HASTE;
const RETRIES = 5;
const RETRY_BASE_MS = 1_000 / HASTE;
/** The share of events that are signed with a wrong secret, and of requests that are sent twice. */
const FORGED = 0.03;
const TWICE = 0.03;
const CONTACTS = 20;

/** What the sender knows of an event: one row of its record. */
export interface SentEvent {
  readonly id: string;
  readonly bodyHash: string;
  /** Signed with a secret that is not the source's. */
  readonly forged: boolean;
  /** What a handler is told to do with it: "" or `throw rows`, … */
  readonly order: string;
  /** Whether a 2xx came for it. */
  acknowledged: boolean;
  /** Whether a 503 came for it: ingest has it in a file. */
  refused: boolean;
}

/** A sender that behaves as the provider: it waits for an answer, tries again, ever later, and gives up. */
export interface ChaosSender {
  readonly sent: readonly SentEvent[];
  /** When a request was last begun that this ingest acknowledged, by `performance.now()`. */
  acknowledgedAt(ingest: number): number;
  /** The next event carries an order for a handler. */
  order(order: string): void;
  /** Sends no further event, and resolves once each was acknowledged or given up. */
  stop(): Promise<void>;
}

export function startSender(options: {
  /** Where each ingest is. */
  readonly urls: readonly string[];
  readonly secret: string;
  readonly rate: number;
  readonly seed: number;
}): ChaosSender {
  const { urls, secret, rate } = options;
  const draw = createDraw(options.seed ^ 0x5e4de2);
  const http = createSender({ guard: createGuard({ allow: ["127.0.0.0/8"] }), connectionsPerOrigin: 256 });
  const sent: SentEvent[] = [];
  const orders: string[] = [];
  const acknowledgedAt = urls.map(() => 0);
  const underWay = new Set<Promise<void>>();
  const tag = wallClockMs().toString(36);
  let createdMs = 0;
  let isStopped = false;

  async function sendOne(number: number): Promise<void> {
    const id = `evt_${tag}_${String(number).padStart(8, "0")}`;
    const contactId = `cnt_chaos_${Math.floor(draw() * CONTACTS)}`;
    const order = orders.shift() ?? "";
    // Later than the one before, so that a lane has one order.
    createdMs = Math.max(createdMs + 1, Math.floor(wallClockMs()));
    const createdAt = new Date(createdMs).toISOString();
    const event = makeEvent("message.received", { id, createdAt, data: { contactId, body: order } });
    const body = Buffer.from(JSON.stringify(event));
    const bodyHash = createHash("sha256").update(body).digest("hex");
    const forged = order === "" && draw() < FORGED;
    const record = { id, bodyHash, forged, order, acknowledged: false, refused: false };
    sent.push(record);
    const timestamp = Math.floor(createdMs / 1_000);
    const secrets = [forged ? `not-${secret}` : secret];
    const { signatureHeader: headerName } = SIMULATED;
    const headers = signatureHeaders({ id, timestamp, body, secrets, headerName });
    const twice = draw() < TWICE;
    const at = Math.floor(draw() * urls.length);

    async function request(attempt: number): Promise<void> {
      const startedAt = performance.now();
      const ingest = (at + attempt) % urls.length;
      const answer = await http.post({ url: urls[ingest] ?? "", headers, body, timeoutMs: TIMEOUT_MS });
      if (!answer.answered) return;
      if (answer.status === 503) record.refused = true;
      if (!isSuccess(answer.status)) return;
      record.acknowledged = true;
      acknowledgedAt[ingest] = Math.max(acknowledgedAt[ingest] ?? 0, startedAt);
    }

    for (let attempt = 0; attempt <= RETRIES && !record.acknowledged; attempt++) {
      if (attempt > 0) await sleep(RETRY_BASE_MS * 2 ** (attempt - 1) * (0.5 + draw() / 2));
      await Promise.all(twice ? [request(attempt), request(attempt + 1)] : [request(attempt)]);
      if (forged) return;
    }
  }

  const sending = (async () => {
    const startedAt = performance.now();
    for (let number = 0; !isStopped; number++) {
      const one = sendOne(number);
      underWay.add(one);
      void one.finally(() => underWay.delete(one));
      await sleep(Math.max(0, startedAt + ((number + 1) * 1_000) / rate - performance.now()));
    }
  })();

  return {
    sent,
    acknowledgedAt: (ingest) => acknowledgedAt[ingest] ?? 0,
    order: (order) => void orders.push(order),
    async stop() {
      isStopped = true;
      await sending;
      await Promise.all(underWay);
      await http.close();
    },
  };
}
