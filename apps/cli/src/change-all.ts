import {
  CHANGEABLE,
  changeDeliveries,
  type DeliveryChange,
  type DeliveryFilter,
  type DeliveryRow,
  listDeliveries,
  type Store,
} from "@penstock/store";
import type { CliContext } from "./cli-context.ts";
import { StoppedError } from "./cli-error.ts";

const PAGE = 1_000;
/** What a stop leaves is counted up to this; more is told as such. */
const COUNTED = 10_000;

/** How many deliveries were changed, and how many match that were not reached before a stop. */
export interface Changes {
  readonly changed: number;
  readonly left: number;
}

/**
 * Changes all deliveries that match, page by page. When it is told to stop it ends the page under way, and counts what is
 * left. `by` is the command that stands on record; `isMeant` sorts out what a filter cannot.
 */
export async function changeAll(
  store: Store,
  { stop, output, actor }: Pick<CliContext, "stop" | "output" | "actor">,
  change: DeliveryChange,
  filter: DeliveryFilter,
  { by, isMeant = () => true }: { readonly by?: string; readonly isMeant?: (row: DeliveryRow) => boolean } = {},
): Promise<Changes> {
  const sayStop = (): void => output.say("Stopping once the page under way is done. Ctrl-C again ends this at once.");
  stop.addEventListener("abort", sayStop);
  try {
    let changed = 0;
    let left = 0;
    for (let after: DeliveryRow | undefined; left < COUNTED;) {
      const page: DeliveryRow[] = await listDeliveries(store, filter, { limit: PAGE, ...(after && { after }) });
      const meant = page.filter((row) => CHANGEABLE[change].includes(row.state) && isMeant(row));
      if (stop.aborted) left += meant.length;
      else changed += (await changeDeliveries(store, change, meant, { actor, ...(by !== undefined && { by }) })).length;
      after = page.at(-1);
      if (after === undefined || page.length < PAGE) break;
    }
    return { changed, left };
  } finally {
    stop.removeEventListener("abort", sayStop);
  }
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
