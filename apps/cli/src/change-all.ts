import {
  type Changes,
  changeAllDeliveries,
  type DeliveryChange,
  type DeliveryFilter,
  type Store,
} from "@penstock/store";
import type { CliContext } from "./cli-context.ts";
import { StoppedError } from "./cli-error.ts";

/** As many as are counted of what a stop leaves; more is told as such. */
const COUNTED = 10_000;

/** Runs what changes deliveries page by page, and says what the first Ctrl-C does meanwhile. */
export async function untilStopped(
  { stop, output }: Pick<CliContext, "stop" | "output">,
  work: () => Promise<Changes>,
): Promise<Changes> {
  const sayStop = (): void => output.say("Stopping once the page under way is done. Ctrl-C again ends this at once.");
  stop.addEventListener("abort", sayStop);
  try {
    return await work();
  } finally {
    stop.removeEventListener("abort", sayStop);
  }
}

/** Changes all deliveries that match. `by` is the command that stands on record. */
export function changeAll(
  store: Store,
  ctx: Pick<CliContext, "stop" | "output" | "actor">,
  change: DeliveryChange,
  filter: DeliveryFilter,
  { by }: { readonly by?: string } = {},
): Promise<Changes> {
  const { actor, stop } = ctx;
  const options = { actor, stop, ...(by !== undefined && { by }) };
  return untilStopped(ctx, () => changeAllDeliveries(store, change, filter, options));
}

/** The sum of two. */
export function addChanges(a: Changes, b: Changes): Changes {
  return { changed: a.changed + b.changed, left: a.left + b.left };
}

/** How many of how many, e.g. `1 delivery`, `5 deliveries`, and after a stop `1000 of 2500 deliveries`. */
export function describeChanges({ changed, left }: Changes): string {
  if (left > 0) return `${changed} of ${left >= COUNTED ? "at least " : ""}${changed + left} deliveries`;
  return changed === 1 ? "1 delivery" : `${changed} deliveries`;
}

/** What is told of a stop in JSON, too. */
export function leftOf({ left }: Changes): { left?: number } {
  return left === 0 ? {} : { left };
}

/** @throws StoppedError when a stop left some; says what to do about it. */
export function assertAllChanged({ output }: Pick<CliContext, "output">, { left }: Changes, advice: string): void {
  if (left === 0) return;
  output.say(`Stopped. ${advice}`);
  throw new StoppedError("stopped before all were changed");
}
