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
  /** Of a start, `since` is when its claim was asked for. */
  add(what: Exclude<Entry["what"], "accepted">, event: LaneEvent, since?: number): void;
  accepted(event: LaneEvent, seq: number): void;
  /** It is a dead letter since the workers that took it vanished. */
  lost(seq: number): void;
  has(event: LaneEvent, ...what: readonly Entry["what"][]): boolean;
}

/**
 * Writes a history down, with what breaks the promise of lanes: two of one lane at once, and, where a strict one is
 * promised, an event that was run although an older one was known to be still open when it can have been claimed at the
 * earliest: when the one before it was done, or its claim was asked for.
 */
export function createLaneHistory(strict: "block" | "continue" | null): LaneHistory {
  const entries: Entry[] = [];
  const violations: { readonly what: string; readonly over?: LaneEvent }[] = [];
  const running = new Map<string, LaneEvent>();
  const seq = new Map<string, number>();
  const lost = new Set<number | undefined>();

  const has: LaneHistory["has"] = (event, ...what) =>
    entries.some((entry) => entry.event === event && what.includes(entry.what));

  function checkStart(event: LaneEvent, since: number): void {
    const beside = running.get(event.lane);
    if (beside !== undefined) violations.push({ what: `${event.id} ran beside ${beside.id}` });
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
      violations.push({ what: `${event.id} ran before ${other.id}, which is older and was known`, over: other });
    }
  }

  /** By date, and then by arrival. */
  function isOlder(one: LaneEvent, other: LaneEvent): boolean {
    return one.at !== other.at ? one.at < other.at : (seq.get(one.id) ?? 0) < (seq.get(other.id) ?? 0);
  }

  return {
    get violations() {
      // That a delivery was lost is told later than it was committed.
      const isExcused = (over?: LaneEvent): boolean =>
        strict === "continue" && over !== undefined && lost.has(seq.get(over.id));
      return violations.filter(({ over }) => !isExcused(over)).map(({ what }) => what);
    },
    lost: (number) => void lost.add(number),
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
