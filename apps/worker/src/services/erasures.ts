import { runErase } from "@penstock/engine";
import type { Handler } from "@penstock/handler-sdk";
import type { EngineStore } from "@penstock/engine";
import type { ArchiveConfig } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import {
  advanceErasure,
  endHandlersStep,
  type ErasureJob,
  noteHandlerErased,
  putErasureBack,
  renewErasure,
  takeErasure,
} from "@penstock/store";
import { summarizeError } from "../summarize-error.ts";
import { eraseFromArchive } from "./erase-archive.ts";
import { loop, type Service, type ServiceContext } from "./service.ts";

const EVERY_MS = 1_000;
const LONGEST_REST_MS = 60_000;
/** A handler that fails so often is told in the report; to erase once more tries it again. */
const MOST_ATTEMPTS = 10;

interface Erasures {
  readonly handlers: readonly Handler[];
  readonly engineStore: Pick<EngineStore, "transaction">;
  readonly sources: Pick<Sources, "list">;
  /** Null: this worker has no archive. */
  readonly archive: ArchiveConfig | null;
  /** Aborted when the worker is out of patience at shutdown. */
  readonly signal: AbortSignal;
}

/** Does the erasures that operators ask for: one worker at a time each, and each handler's own part where the handler is. */
export function runErasures(context: ServiceContext, erasures: Erasures): Service {
  const { store, log, closing } = context;

  async function advance(): Promise<boolean> {
    const job = await takeErasure(store);
    if (job === null) return false;
    let rest: { waitsFor: string | null; restMs: number } = { waitsFor: null, restMs: EVERY_MS };
    try {
      if (job.step === "handlers") {
        rest = await eraseByHandlers(context, erasures, job);
      } else {
        const waitsFor = await advanceErasure(store, job, closing);
        rest = { waitsFor, restMs: waitsFor === null ? 0 : EVERY_MS };
        if (waitsFor === null) log.info({ erasure: job.id, step: job.step }, "a part of an erasure was done");
      }
    } finally {
      // An error is told by the loop; its text may quote what is erased.
      await putErasureBack(store, job.id, rest);
    }
    return rest.restMs === 0;
  }

  return { done: loop(context, EVERY_MS, "an erasure", advance) };
}

/** Has the handlers of this worker do their part, and ends the step once none is waited for. */
async function eraseByHandlers(
  { store, log }: Pick<ServiceContext, "store" | "log">,
  { handlers, engineStore, sources, archive, signal }: Erasures,
  job: ErasureJob,
): Promise<{ waitsFor: string | null; restMs: number }> {
  // Also those that nobody had registered when it was asked for.
  const own = handlers.map(({ name }) => [name, { state: "waiting", attempts: 0 }] as const);
  // One that no worker had when it was asked for is not waited for, and does its part where it is back.
  const waiting = Object.entries({ ...Object.fromEntries(own), ...job.handlers }).filter(
    ([name, { state }]) =>
      state === "waiting" || (state === "absent" && handlers.some((handler) => handler.name === name)),
  );
  const names = sources.list.map(({ name }) => name);
  const left: string[] = [];
  let restMs = 0;
  for (const [name, { attempts }] of waiting) {
    const handler = handlers.find((one) => one.name === name);
    if (handler === undefined) {
      left.push(name);
      continue;
    }
    await renewErasure(store, job.id);
    try {
      let has = false;
      for (const [nth, wanted] of job.wanted.entries()) {
        const path = wanted.kind === "where" ? wanted.path.join(".") : null;
        const subject = { kind: wanted.kind, value: wanted.value, path, sources: names };
        const idempotencyKey = `erasure:${job.id}:${nth}:${name}`;
        has = await runErase({ store: engineStore, handler, subject, idempotencyKey, signal, log });
      }
      await noteHandlerErased(store, job.id, name, {
        state: has ? "done" : "lacks",
        attempts: attempts + 1,
        error: null,
      });
    } catch (error) {
      if (signal.aborted || summarizeError(error).code === "DATABASE_UNAVAILABLE") throw error;
      const errorClass = error instanceof Error ? error.name : typeof error;
      const isLast = attempts + 1 >= MOST_ATTEMPTS;
      await noteHandlerErased(store, job.id, name, {
        state: isLast ? "failed" : "waiting",
        attempts: attempts + 1,
        error: errorClass,
      });
      log.warn({ erasure: job.id, handler: name, attempt: attempts + 1, errorClass }, "a handler could not erase");
      if (!isLast) {
        left.push(name);
        restMs = Math.max(restMs, Math.min(LONGEST_REST_MS, 1_000 * 2 ** attempts));
      }
    }
  }
  if (left.length > 0) return { waitsFor: `the handlers ${left.join(", ")}`, restMs: Math.max(restMs, EVERY_MS) };
  const archived = await eraseFromArchive(store, archive, job);
  if (typeof archived === "string") return { waitsFor: archived, restMs: LONGEST_REST_MS / 4 };
  await endHandlersStep(store, job, { archived });
  return { waitsFor: null, restMs: 0 };
}
