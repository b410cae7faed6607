import type { DeliveryChange } from "@penstock/store";

/** An event of a lane, as a test made it. */
export interface LaneEvent {
  readonly id: string;
  readonly lane: string;
  /** Its `createdAt`, in milliseconds. */
  readonly at: number;
}

interface Entry {
  readonly what: "accepted" | "started" | "succeeded" | "failed" | "died" | "vanished" | "expiring" | DeliveryChange;
  readonly event: LaneEvent;
}

/** What happened to the events of lanes, in the order in which it happened; checked as it is written. */
export interface LaneHistory {
  readonly violations: readonly string[];
  /** The number of entries so far: a moment. */
  now(): number;
  /** Of a start, `since` is when its worker began to look. */
  add(what: Exclude<Entry["what"], "accepted">, event: LaneEvent, since?: number): void;
  accepted(event: LaneEvent, seq: number): void;
  has(event: LaneEvent, ...what: readonly Entry["what"][]): boolean;
}

/**
 * Writes a history down, with what breaks the promise of lanes: two of one lane at once, and, where a strict one is
 * promised, an event that was run although an older one was known to be still open when it can have been claimed at the
 * earliest: when the one before it was done, or its worker began to look.
 */
export function createLaneHistory(strict: "block" | "continue" | null): LaneHistory {
  const entries: Entry[] = [];
  const violations: string[] = [];
  const running = new Map<string, LaneEvent>();
  const seq = new Map<string, number>();

  const has: LaneHistory["has"] = (event, ...what) =>
    entries.some((entry) => entry.event === event && what.includes(entry.what));

  function checkStart(event: LaneEvent, since: number): void {
    const beside = running.get(event.lane);
    if (beside !== undefined) violations.push(`${event.id} ran beside ${beside.id}`);
    if (strict === null) return;
    const ends = entries.map(({ what, event: { lane } }, at) =>
      lane === event.lane && ["succeeded", "failed", "died"].includes(what) ? at : -1,
    );
    const claimed = Math.max(since, ...ends);
    const known = entries.slice(0, claimed).filter(({ what }) => what === "accepted");
    for (const { event: other } of known) {
      if (other.lane !== event.lane || other === event || !isOlder(other, event)) continue;
      if (has(other, "succeeded", "skip", "cancel")) continue;
      if (strict === "continue" && has(other, "died")) continue;
      violations.push(`${event.id} ran before ${other.id}, which is older and was known`);
    }
  }

  /** By date, and then by arrival. */
  function isOlder(one: LaneEvent, other: LaneEvent): boolean {
    return one.at !== other.at ? one.at < other.at : (seq.get(one.id) ?? 0) < (seq.get(other.id) ?? 0);
  }

  return {
    violations,
    has,
    now: () => entries.length,
    accepted(event, number) {
      seq.set(event.id, number);
      entries.push({ what: "accepted", event });
    },
    add(what, event, since = 0) {
      if (what === "started") checkStart(event, since);
      if (what === "started" || what === "vanished") running.set(event.lane, event);
      if (["succeeded", "failed", "died", "expiring"].includes(what)) running.delete(event.lane);
      entries.push({ what, event });
    },
  };
}
