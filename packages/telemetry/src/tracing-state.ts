let tracing = false;
let heedsParents = true;

/** Whether spans are made in this process. */
export function isTracing(): boolean {
  return tracing;
}

/** Whether what belongs to a trace that is not sampled is not sampled either, whatever else the sampler does. */
export function isParentHeeded(): boolean {
  return heedsParents;
}

/** `sampler`: OTEL_TRACES_SAMPLER, which is one that heeds parents unless set. */
export function setTracing(on: boolean, sampler = "parentbased_always_on"): void {
  tracing = on;
  heedsParents = sampler.startsWith("parentbased_");
}
