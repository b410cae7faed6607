import type { EndpointDisablement } from "../contract/engine-store.ts";
import { EndpointError } from "../outage/errors.ts";
import { retryPastStop } from "../outage/outage-pause.ts";
import { applySignals } from "./endpoint-health.ts";
import { type EndpointRun, moveTo } from "./endpoint-run.ts";
import type { EndedDelivery } from "./try-endpoint.ts";

/** Writes what results say about an endpoint's health; opens its circuit or disables it where they say so. */
export async function recordHealth(run: EndpointRun, batch: readonly EndedDelivery[]): Promise<void> {
  const { engine, id } = run;
  const signals = batch.flatMap(({ signal }) => (signal === null ? [] : [signal]));
  if (signals.length === 0 || run.phase === "disabled") return;
  const isGone = batch.some(({ error }) => error instanceof EndpointError && error.code === "PERMANENT");
  if (isGone) return disable(run, { reason: "it answered 410 Gone" });
  const before = run.health;
  const { openForMs, ...health } = applySignals(before, signals, engine.random);
  run.health = health;
  const isUnchanged = openForMs === null && health.failures === before.failures && health.openings === before.openings;
  // What was in flight when the circuit opened does not close it.
  if (isUnchanged || run.phase === "circuit open") return;
  if (openForMs !== null) moveTo(run, "circuit open");
  // As it is on record: what is sensitive in an answer is masked there.
  const last = batch.findLast(({ signal }) => signal?.ok === false)?.result?.attempt;
  const lastError = last === undefined ? null : `${last.errorClass}: ${last.errorMessage}`.slice(0, 300);
  const disablement = await retryPastStop(engine, () =>
    engine.store.saveEndpointHealth(id, { ...health, openForMs, lastError }),
  );
  if (disablement !== null) return disable(run, disablement);
  if (openForMs === null) return;
  const errorClass = last?.errorClass ?? null;
  engine.log.warn({ endpoint: id, ...health, openForMs, errorClass }, "endpoint fails, its circuit is open");
}

async function disable(run: EndpointRun, disablement: EndpointDisablement): Promise<void> {
  const { engine, id } = run;
  moveTo(run, "disabled");
  if (await retryPastStop(engine, () => engine.store.disableEndpoint(id, disablement))) {
    engine.log.error(
      { endpoint: id, ...disablement },
      "endpoint is disabled: `penstock endpoints resume` enables it again",
    );
  }
}
