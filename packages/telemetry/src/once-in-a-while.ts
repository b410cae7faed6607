const SAY_AGAIN_MS = 10_000;

/** Says something at most every ten seconds: an outage is told, not every failure of it. */
export function onceInAWhile(): (say: () => void) => void {
  let saidAt = -Infinity;
  return (say) => {
    if (performance.now() - saidAt < SAY_AGAIN_MS) return;
    saidAt = performance.now();
    say();
  };
}
