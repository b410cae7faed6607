import type { QueueBackend } from "./create-queue.ts";
import { QueueUnavailableError } from "./event-queue.ts";

/** The error that users of a queue see: what is wrong, and what to do. */
export function toUnavailable({ explain }: Pick<QueueBackend, "explain">, error: unknown): QueueUnavailableError {
  const why = error instanceof Error ? explain(error) : String(error);
  return new QueueUnavailableError(`the queue is not available: ${why}`, { cause: error });
}
