const BUSY = 0.8;
const LOOK_EVERY_MS = 1_000;

/** What busyness is measured by: how long this process has run, and for how much of it it had something to do. */
export interface Workload {
  readonly nowMs: () => number;
  /** In milliseconds, from the same start. */
  readonly activeMs: () => number;
}

const EVENT_LOOP: Workload = {
  nowMs: () => performance.now(),
  activeMs: () => performance.eventLoopUtilization().active,
};

/** Tells whether this process has been busy since it was last asked, a second ago or more. */
export function createBusyness({ nowMs, activeMs }: Workload = EVENT_LOOP): () => boolean {
  let activeBefore = activeMs();
  let lookedAt = nowMs();
  let isBusy = false;
  return () => {
    const elapsedMs = nowMs() - lookedAt;
    if (elapsedMs >= LOOK_EVERY_MS) {
      isBusy = (activeMs() - activeBefore) / elapsedMs >= BUSY;
      activeBefore = activeMs();
      lookedAt = nowMs();
    }
    return isBusy;
  };
}
