import type { Environment } from "./telemetry-plan.ts";

let tracing = false;
let heedsParents = true;
let share = 1;

/** Whether spans are made in this process. */
export function isTracing(): boolean {
  return tracing;
}

/** Whether what belongs to a trace that is not sampled is not sampled either, whatever else the sampler does. */
export function isParentHeeded(): boolean {
  return heedsParents;
}

/** Draws whether a trace that begins here is made. OpenTelemetry would make its ids first, and hash one of them. */
export function isTraceMade(): boolean {
  return share === 1 || Math.random() < share;
}

/** Reads OTEL_TRACES_SAMPLER and its argument. */
export function setTracing(on: boolean, env: Environment = {}): void {
  tracing = on;
  heedsParents = samplerOf(env).startsWith("parentbased_");
  share = isDrawn(env) ? (ratioOf(env) ?? 1) : 1;
}

/** The name of the sampler, which is one that heeds parents unless set. */
export function samplerOf(env: Environment): string {
  return env["OTEL_TRACES_SAMPLER"]?.trim() || "parentbased_always_on";
}

/** Whether the share of the traces is drawn by number: where parents are heeded, nobody goes by a trace's id again. */
export function isDrawn(env: Environment): boolean {
  return samplerOf(env) === "parentbased_traceidratio";
}

/** OTEL_TRACES_SAMPLER_ARG, from 0 to 1; null when it is no such number. */
export function ratioOf(env: Environment): number | null {
  const text = env["OTEL_TRACES_SAMPLER_ARG"]?.trim() ?? "";
  const ratio = Number(text);
  return text !== "" && ratio >= 0 && ratio <= 1 ? ratio : null;
}
