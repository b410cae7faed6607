import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createEventSupply } from "./event-supply.ts";
import { createHttpClient } from "./http-client.ts";
import { type SendOptions, toSendPlan } from "./send-options.ts";
import { createReportBuilder, type SendReport } from "./send-report.ts";
import { sendingOrder } from "./sending-order.ts";

/**
 * Sends signed BuzzBip events over HTTP and says what came back. Nothing is sent a second time on failure.
 * Whatever the receiver does, even if there is none, is in the report and not an exception.
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
  const report = createReportBuilder(order.length);

  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // every request under way listens, which is no leak
  const stopSending = () => stop.abort();
  options.signal?.addEventListener("abort", stopSending, { once: true });
  if (options.signal?.aborted) stopSending();

  const client = createHttpClient({ ...plan, signal: stop.signal });
  const startedAt = performance.now();
  let next = 0;
  let done = 0;

  // Each sender takes the next request of the schedule, waits for its time and for its answer. Times are reckoned from
  // the start, never from the request before, so lateness does not add up.
  async function sender(): Promise<void> {
    while (next < order.length && !stop.signal.aborted) {
      const position = next++;
      const dueAt =
        plan.ratePerSecond === null ? performance.now() : startedAt + (position * 1_000) / plan.ratePerSecond;
      await sleepUntil(dueAt, stop.signal);
      if (stop.signal.aborted) return;
      const event = supply.take(order[position] ?? 0);
      const answer = await client.post(event);
      report.add(answer, event.id, performance.now() - dueAt);
      done += 1;
      options.onProgress?.(done, order.length);
    }
  }

  try {
    await Promise.all(Array.from({ length: Math.min(plan.concurrency, order.length) }, sender));
    return report.build(performance.now() - startedAt);
  } finally {
    options.signal?.removeEventListener("abort", stopSending);
    stopSending(); // the other senders, when onProgress has thrown
    client.close();
  }
}

async function sleepUntil(time: number, signal: AbortSignal): Promise<void> {
  // A loop, since timers count whole milliseconds and may fire a fraction early.
  for (let wait = time - performance.now(); wait > 0 && !signal.aborted; wait = time - performance.now()) {
    await sleep(Math.ceil(wait), undefined, { signal }).catch(() => {});
  }
}
