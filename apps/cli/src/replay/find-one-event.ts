import { type EventPointer, toTerms } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { noEvent } from "../no-match.ts";
import type { Operations } from "../operations/with-operations.ts";
import { printable } from "../output/printable.ts";

/** Of what has the same id, as many are looked at. */
const MOST = 100;

/** The one processed event with this id or seq. @throws CliError when there is none, or several have the id. */
export async function findOneEvent(
  ctx: Pick<CliContext, "penstock">,
  operations: Pick<Operations, "searchEvents" | "findGone">,
  event: string,
  source?: string,
): Promise<EventPointer> {
  const terms = toTerms({ event, ...(source !== undefined && { source }) });
  const { items } = await operations.searchEvents({ terms, limit: MOST });
  const [found, ...others] = items.filter(({ status }) => status !== "pending");
  if (found === undefined) throw new CliError(await noEvent(ctx, operations, event));
  if (others.length === 0) return found;
  const seqs = [found, ...others].map(({ seq }) => seq).toSorted((a, b) => a - b);
  throw new CliError(
    `Several events have the id ${printable(event)}: name one by its seq, ${seqs.map((seq) => `seq:${seq}`).join(" or ")}.`,
  );
}
