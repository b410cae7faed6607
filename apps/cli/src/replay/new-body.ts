import { toNewEvent } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import { requestOfBody } from "@penstock/sources";
import { type EventPointer, listEvents, type NewReplay, type Store } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { printable } from "../output/printable.ts";
import { readProjectSources } from "../project-config.ts";
import { readBodyFile } from "../send/body-file.ts";

/**
 * The event that a file makes of another one: of the same source, and with an id of its own, so that the ledger knows both.
 * What handlers see as its id is what the body says.
 *
 * @throws CliError when the file cannot be read, or the source's schema does not understand it.
 */
export async function readNewBody(
  store: Store,
  ctx: CliContext,
  { seq }: EventPointer,
  replayId: string,
  file: string,
): Promise<NonNullable<NewReplay["body"]>> {
  const body = await readBodyFile(ctx, file, "--with-body");
  const [original] = await listEvents(store, { event: `seq:${seq}`, limit: 1 });
  if (original === undefined) throw new CliError(`Event ${seq} is gone: there is no more than its key.`);
  const source = (await readProjectSources(ctx)).find(original.source);
  if (source === undefined) throw new CliError(`penstock.sources.ts lists no source ${printable(original.source)}.`);
  const { type } = original;
  const createdAt = original.createdAt === null ? null : new Date(original.createdAt);
  const id = `${original.id ?? `seq ${seq}`}#replay-${replayId}`;
  const check = source.check({ body, eventId: id, type, createdAt });
  if (!check.ok)
    throw new CliError(`--with-body ${file}: it would not be understood (${check.reason}): ${check.detail}.`);
  // Where type and time stand in headers, they are those of the original.
  const found = source.identify(requestOfBody(body));
  const identity = {
    ...found,
    id,
    type: found.type ?? type,
    createdAt: found.createdAt ?? createdAt,
    problem: null,
  };
  // However old it says that it is: whoever replays it vouches for it.
  return toNewEvent({ source: original.source, identity, body, traceparent: null }, Infinity, wallClockMs());
}
