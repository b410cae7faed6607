import { type EventPointer, findEvents, type Store } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { noEvent } from "../no-match.ts";
import { printable } from "../output/printable.ts";

/** The one event with this id or seq. @throws CliError when there is none, or several have the id. */
export async function findOneEvent(
  ctx: Pick<CliContext, "penstock">,
  store: Store,
  event: string,
  source?: string,
): Promise<EventPointer> {
  const [found, ...others] = await findEvents(store, event, source);
  if (found === undefined) throw new CliError(noEvent(ctx, event));
  if (others.length === 0) return found;
  const seqs = [found, ...others].map(({ seq }) => seq).toSorted((a, b) => a - b);
  throw new CliError(
    `Several events have the id ${printable(event)}: name one by its seq, ${seqs.map((seq) => `seq:${seq}`).join(" or ")}.`,
  );
}
