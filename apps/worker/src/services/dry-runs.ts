import { dryRun } from "@penstock/engine";
import type { Handler, TransactionalHandler } from "@penstock/handler-sdk";
import type { Sources } from "@penstock/sources";
import { endDryRun, type HandlerRoles, rehearse, takeDryRun } from "@penstock/store";
import { loop, type Service, type ServiceContext } from "./service.ts";

const EVERY_MS = 1_000;

interface DryRuns {
  readonly handlers: readonly Handler[];
  readonly roles: HandlerRoles;
  readonly findSource: Sources["find"];
  /** The worker's. */
  readonly name: string;
  /** Aborted when the worker is out of patience at shutdown. */
  readonly signal: AbortSignal;
}

/** Does the dry runs that the console asks for, one after another: the console has no handlers. */
export function runDryRuns(
  context: Pick<ServiceContext, "store" | "log" | "closing">,
  { handlers, roles, findSource, name, signal }: DryRuns,
): Service {
  const { store } = context;
  const known = new Map(handlers.flatMap((one) => (isTransactional(one) ? [[one.name, one] as const] : [])));
  const runNext = async (): Promise<boolean> => {
    const asked = await takeDryRun(store, [...known.keys()], name);
    const handler = asked && known.get(asked.handler);
    if (!handler) return false;
    const rehearsal = { rehearse: <T>(fn: Parameters<typeof rehearse<T>>[1]) => rehearse(store, fn, roles) };
    await endDryRun(store, asked.id, await dryRun({ store: rehearsal, handler, findSource, signal }, asked));
    return true;
  };
  return { done: known.size === 0 ? Promise.resolve() : loop(context, EVERY_MS, "a dry run", runNext) };
}

const isTransactional = (handler: Handler): handler is TransactionalHandler => handler.kind === "transactional";
