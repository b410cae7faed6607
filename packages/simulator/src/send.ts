import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, createGuard, createSender, isSuccess, signatureHeaders } from "@penstock/dispatch";
import { wallClockMs } from "@penstock/schemas";
import { draw } from "./draw.ts";
import { createEventSupply } from "./event-supply.ts";
import { type SendOptions, type SendPlan, toSendPlan } from "./send-options.ts";
import { createReportBuilder, type SendReport } from "./send-report.ts";
import { sendingOrder } from "./sending-order.ts";
import { SIMULATED } from "./simulated.ts";

/** What a storm is made of: this many requests at once after one another, each given up as soon. */
const STORM_REQUESTS = 5;
const STORM_TIMEOUT_MS = 20;
/** The most that a receiver's Retry-After is heeded. */
const MAX_RETRY_AFTER_MS = 60_000;

/** One copy of an event, on its way until it is acknowledged or given up. */
interface Delivery {
  /** Its place in the sending order. */
  readonly position: number;
  readonly number: number;
  /** Requests so far. */
  attempts: number;
  acknowledged: boolean;
}

/**
 * Sends signed BuzzBip events over HTTP and says what came back, by the sender and the signatures that Penstock's own
 * deliveries go out with. Whatever the receiver does, even if there is none, is in the report and not an exception.
 *
 * @throws {TypeError | RangeError} before anything is sent, for options that cannot be carried out.
 * @example
 * const report = await send({ url: "http://127.0.0.1:8080/webhooks/buzzbip", secret, count: 5_000, ratePerSecond: 500 });
 * report.byStatus; // { "200": 5000 }
 */
export async function send(options: SendOptions): Promise<SendReport> {
  const plan = toSendPlan(options);
  const order = sendingOrder(plan);
  const supply = createEventSupply(plan);
  const report = createReportBuilder(plan);

  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // every request under way listens, which is no leak
  const stopSending = () => stop.abort();
  options.signal?.addEventListener("abort", stopSending, { once: true });
  if (options.signal?.aborted) stopSending();

  // A simulator sends wherever it is told to, first of all to this machine.
  const guard = createGuard({ allow: ["0.0.0.0/0", "::/0"] });
  const http = createSender({ guard, connectionsPerOrigin: plan.concurrency, userAgent: "penstock-simulator" });
  const startedAt = performance.now();
  let next = 0;
  let done = 0;
  // Retries go before what has not been sent yet. `waiting` are those whose time has not come.
  const retries: { readonly delivery: Delivery; readonly dueAt: number }[] = [];
  let waiting = 0;
  let changed = Promise.withResolvers<void>();

  async function attempt(delivery: Delivery, dueAt: number): Promise<void> {
    const { position, number } = delivery;
    const event = supply.get(number);
    const storms = draw(plan.seed, "storm", position) < plan.storm && delivery.attempts < STORM_REQUESTS;
    const answer = await http.post({
      url: plan.url.href,
      headers: signatureHeaders({
        id: event.webhookId,
        timestamp: Math.floor(wallClockMs() / 1_000),
        body: event.body,
        secrets: [draw(plan.seed, "bad-signature", position) < plan.badSignature ? `not-${plan.secret}` : plan.secret],
        headerName: SIMULATED.signatureHeader,
      }),
      body: event.body,
      timeoutMs: storms ? Math.min(STORM_TIMEOUT_MS, plan.timeoutMs) : plan.timeoutMs,
      signal: stop.signal,
    });
    const succeeded = answer.answered && isSuccess(answer.status);
    report.addRequest(answer, event.id, performance.now() - dueAt, delivery.attempts > 0);
    delivery.attempts += 1;
    delivery.acknowledged ||= succeeded;
    // What a storm had acknowledged is sent again all the same.
    if (storms) return retryAt(delivery, performance.now());
    if (!succeeded && delivery.attempts <= retriesOf(plan, delivery)) {
      return retryAt(delivery, performance.now() + backoffMs(plan, delivery, answer));
    }
    supply.done(number);
    report.addDelivery(delivery.acknowledged);
    done += 1;
    options.onProgress?.(done, order.length);
  }

  function retryAt(delivery: Delivery, dueAt: number): void {
    waiting += 1;
    void sleepUntil(dueAt, stop.signal).then(() => {
      waiting -= 1;
      retries.push({ delivery, dueAt });
      changed.resolve();
      changed = Promise.withResolvers();
    });
  }

  // Each sender takes what is due next, waits for its time and for its answer. Times are reckoned from the start, never
  // from the request before, so lateness does not add up.
  let sending = 0;
  async function sender(): Promise<void> {
    while (!stop.signal.aborted) {
      const retry = retries.shift();
      if (retry !== undefined) {
        await track(() => attempt(retry.delivery, retry.dueAt));
      } else if (next < order.length) {
        const position = next++;
        const number = order[position] ?? 0;
        await track(async () => {
          const dueAt =
            plan.ratePerSecond === null ? performance.now() : startedAt + (position * 1_000) / plan.ratePerSecond;
          await sleepUntil(dueAt, stop.signal);
          if (!stop.signal.aborted) await attempt({ position, number, attempts: 0, acknowledged: false }, dueAt);
        });
      } else if (waiting > 0 || sending > 0) await changed.promise;
      else return;
    }
  }

  async function track(work: () => Promise<void>): Promise<void> {
    sending += 1;
    try {
      await work();
    } finally {
      sending -= 1;
      if (next >= order.length && sending === 0) {
        changed.resolve();
        changed = Promise.withResolvers();
      }
    }
  }

  try {
    await Promise.all(Array.from({ length: Math.min(plan.concurrency, order.length) }, sender));
    return report.build(performance.now() - startedAt);
  } finally {
    options.signal?.removeEventListener("abort", stopSending);
    stopSending(); // the other senders, when onProgress has thrown
    await http.close();
  }
}

/** Retries after the first request, or after the storm. */
function retriesOf(plan: SendPlan, { position }: Delivery): number {
  return plan.retries + (draw(plan.seed, "storm", position) < plan.storm ? STORM_REQUESTS : 0);
}

/** Half of it and up to all of it: twice as long each time. */
function backoffMs(plan: SendPlan, { position, attempts }: Delivery, answer: Answer): number {
  const wait = plan.retryBaseMs * 2 ** Math.min(attempts - 1, 20);
  const jittered = wait * (1 + draw(plan.seed, "backoff", position * 31 + attempts)) * 0.5;
  const asked = answer.answered ? (answer.retryAfterMs ?? 0) : 0;
  return Math.max(jittered, Math.min(asked, MAX_RETRY_AFTER_MS));
}

async function sleepUntil(time: number, signal: AbortSignal): Promise<void> {
  // A loop, since timers count whole milliseconds and may fire a fraction early.
  for (let wait = time - performance.now(); wait > 0 && !signal.aborted; wait = time - performance.now()) {
    await sleep(Math.ceil(wait), undefined, { signal }).catch(() => {});
  }
}
