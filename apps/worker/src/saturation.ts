/** The share of time with something to do from which on a process counts as saturated. */
const SATURATED_FROM = 0.8;
const MEASURE_EVERY_MS = 1_000;

/** What saturation is measured by: how long the process has run, and how much of that time it had something to do. */
export interface Workload {
  readonly nowMs: () => number;
  /** In milliseconds, counted from the start of `nowMs`. */
  readonly activeMs: () => number;
}

const EVENT_LOOP: Workload = {
  nowMs: () => performance.now(),
  activeMs: () => performance.eventLoopUtilization().active,
};

/** Makes a function that says whether this process was saturated in the last period of a second or more. */
export function createSaturation({ nowMs, activeMs }: Workload = EVENT_LOOP): () => boolean {
  let activeBefore = activeMs();
  let measuredAt = nowMs();
  let isSaturated = false;
  return () => {
    const elapsedMs = nowMs() - measuredAt;
    if (elapsedMs >= MEASURE_EVERY_MS) {
      isSaturated = (activeMs() - activeBefore) / elapsedMs >= SATURATED_FROM;
      activeBefore = activeMs();
      measuredAt = nowMs();
    }
    return isSaturated;
  };
}
