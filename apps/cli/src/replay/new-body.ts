import { toEditedEvent } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import type { EventPointer, NewReplay } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { findEvent } from "../no-match.ts";
import type { Operations } from "../operations/with-operations.ts";
import { printable } from "../output/printable.ts";
import { readProjectSources } from "../project-config.ts";
import { readBodyFile } from "../send/body-file.ts";

/**
 * The event that a file makes of another one; see toEditedEvent.
 *
 * @throws CliError when the file cannot be read, or the source's schema does not understand it.
 */
export async function readNewBody(
  operations: Operations,
  ctx: CliContext,
  { seq }: EventPointer,
  replayId: string,
  file: string,
): Promise<NonNullable<NewReplay["body"]>> {
  const body = await readBodyFile(ctx, file, "--with-body");
  const original = await findEvent(operations, `seq:${seq}`);
  if (original === undefined) throw new CliError(`Event ${seq} is gone: there is no more than its key.`);
  const source = (await readProjectSources(ctx)).find(original.source);
  if (source === undefined) throw new CliError(`penstock.sources.ts lists no source ${printable(original.source)}.`);
  const edited = toEditedEvent({ name: original.source, source }, original, { body, replayId }, wallClockMs());
  if (edited.ok) return edited.event;
  throw new CliError(`--with-body ${file}: it would not be understood (${edited.reason}): ${edited.detail}.`);
}
