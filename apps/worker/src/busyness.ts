const BUSY = 0.8;
const LOOK_EVERY_MS = 1_000;

/** Tells whether this process has been busy since it was last asked, a second ago or more. */
export function createBusyness(): () => boolean {
  let before = performance.eventLoopUtilization();
  let lookedAt = performance.now();
  let isBusy = false;
  return () => {
    if (performance.now() - lookedAt >= LOOK_EVERY_MS) {
      isBusy = performance.eventLoopUtilization(before).utilization >= BUSY;
      before = performance.eventLoopUtilization();
      lookedAt = performance.now();
    }
    return isBusy;
  };
}
