import {
  createReplay,
  type ReplayDetail,
  showReplay,
  type Store,
  toNewReplay,
  type WantedReplay,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { printable } from "../output/printable.ts";
import { type ArchiveFilter, countInArchive, restoreFromArchive } from "./restore-from-archive.ts";

const DAY_MS = 86_400_000;

export interface FromArchive {
  readonly day: string;
  readonly filter: ArchiveFilter;
  /** How the replay is made: all but which events it takes. */
  readonly how: Pick<WantedReplay, "id" | "handler" | "again" | "rate" | "reason">;
  readonly yes: boolean;
}

/** Brings events of an archived day back, and begins a replay that gives them to handlers. */
export async function replayFromArchive(
  ctx: CliContext,
  store: Store,
  { day, filter, how, yes }: FromArchive,
): Promise<{ readonly created: boolean; readonly restored: number; readonly found: ReplayDetail }> {
  const before = await showReplay(store, how.id);
  if (before !== null) return { created: false, restored: 0, found: before };
  const { events, first } = await countInArchive(ctx, store, day, filter);
  if (events === 0 || first === null) {
    throw new CliError(
      `No event of ${day} in the archive matches. Look at them with \`${ctx.penstock} archive fetch ${day}\`.`,
    );
  }
  const what = events === 1 ? "1 event" : `${events} events`;
  if (!yes) {
    const who = how.handler === undefined ? "all handlers of their types" : printable(how.handler);
    throw new UsageError(
      `${what} of ${day} would be brought back and given to ${who}, effects included. Add --yes to do it.`,
    );
  }
  const { restored } = await restoreFromArchive(ctx, store, day, filter);
  const { source, type, subject, event } = filter;
  const start = Date.parse(`${day}T00:00:00Z`);
  const [since, until] = [filter.since?.getTime() ?? start, filter.until?.getTime() ?? Infinity];
  const wanted: WantedReplay = {
    ...how,
    fromArchive: day,
    among: "missing",
    ...(source !== undefined && { source }),
    ...(type !== undefined && { type }),
    ...(subject !== undefined && { subject }),
    ...(event !== undefined && { event }),
    since: new Date(Math.max(start, since)).toISOString(),
    until: new Date(Math.min(start + DAY_MS, until)).toISOString(),
  };
  const replay = toNewReplay(wanted, event === undefined ? undefined : { day, seq: first.seq });
  await createReplay(store, replay, ctx.actor);
  const found = await showReplay(store, how.id);
  if (found === null) throw new CliError("The replay is gone.");
  return { created: true, restored, found };
}
