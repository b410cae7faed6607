import type { StoredEvent } from "../contract/engine-store.ts";

/**
 * The order in which events of one transaction are handled: by subject, those without one last, then by seq. All workers
 * share it, since in the order of arrival they would deadlock on hot subjects.
 */
export function bySubject(a: StoredEvent, b: StoredEvent): number {
  if (a.subject === b.subject) return a.seq - b.seq;
  if (a.subject === null) return 1;
  return b.subject === null || a.subject < b.subject ? -1 : 1;
}
