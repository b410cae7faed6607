import type { Handler } from "@penstock/handler-sdk";
import { instruments } from "@penstock/telemetry";
import { codeOf, HandlerAbandonedError, HandlerTimeoutError } from "../outage/errors.ts";

/**
 * Calls a handler with a signal of its own, and gives up on the call at the handler's time-out or when `stopping` is aborted, whether
 * the handler heeds the signal or not. A call that ignored the stop would outlive it, and its lease would run out as if the
 * delivery had killed the worker. `isInterruption` says which errors the metric does not count as failures.
 *
 * @throws HandlerTimeoutError, HandlerAbandonedError, or what the handler threw.
 */
export async function withDeadline(
  { name, timeoutMs }: Pick<Handler, "name" | "timeoutMs">,
  stopping: AbortSignal,
  isInterruption: (error: unknown) => boolean,
  call: (signal: AbortSignal) => Promise<void> | void,
): Promise<void> {
  stopping.throwIfAborted();
  const abort = new AbortController();
  const startedAt = performance.now();
  let outcome = "succeeded";
  let timer: NodeJS.Timeout | undefined;
  let stop: (() => void) | undefined;
  const givenUp = new Promise<never>((_, reject) => {
    const giveUp = (error: Error): void => {
      abort.abort(error);
      reject(error);
    };
    timer = setTimeout(() => giveUp(new HandlerTimeoutError(name, timeoutMs)), timeoutMs);
    stop = () => giveUp(new HandlerAbandonedError(name, stopping.reason));
    stopping.addEventListener("abort", stop, { once: true });
  });
  try {
    await Promise.race([call(abort.signal), givenUp]);
  } catch (error) {
    const interrupted = stopping.aborted || isInterruption(error);
    outcome = codeOf(error) === "HANDLER_TIMEOUT" ? "timed-out" : interrupted ? "interrupted" : "failed";
    throw error;
  } finally {
    instruments.handlerDuration().record((performance.now() - startedAt) / 1_000, { handler: name, outcome });
    clearTimeout(timer);
    if (stop !== undefined) stopping.removeEventListener("abort", stop);
  }
}
