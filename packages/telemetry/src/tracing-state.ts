let tracing = false;

/** Whether spans are made in this process. */
export function isTracing(): boolean {
  return tracing;
}

export function setTracing(on: boolean): void {
  tracing = on;
}
