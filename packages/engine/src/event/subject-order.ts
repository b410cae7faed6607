import type { StoredEvent } from "../contract/engine-store.ts";

/**
 * The order in which events of one transaction are handled: by subject, events without a subject last, then by seq. All workers
 * share this order; in the order of arrival, two workers would deadlock on hot subjects.
 */
export function bySubject(a: StoredEvent, b: StoredEvent): number {
  if (a.subject === b.subject) return a.seq - b.seq;
  if (a.subject === null) return 1;
  return b.subject === null || a.subject < b.subject ? -1 : 1;
}
