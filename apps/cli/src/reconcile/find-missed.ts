import type { NamedSource, SentEvent } from "@penstock/sources";
import { findMissed, type Store } from "@penstock/store";
import { CliError } from "../cli-error.ts";

/** Looked up in the ledger together. */
const AT_ONCE = 500;

export interface MissedEvents {
  /** How many the provider has listed, of the types that were asked for. */
  readonly listed: number;
  /** The oldest first, each type with the provider in front. */
  readonly missed: readonly SentEvent[];
  /** What the list broke off with; null: it is whole. */
  readonly brokenOff: Error | null;
}

/** Those of the events that a provider lists which never came. */
export async function findMissedEvents(
  store: Store,
  { name, source }: NamedSource,
  sent: AsyncIterable<SentEvent>,
  types: readonly string[],
): Promise<MissedEvents> {
  const missed: SentEvent[] = [];
  let listed = 0;
  let page: SentEvent[] = [];

  async function look(): Promise<void> {
    const ids = await findMissed(
      store,
      name,
      page.map(({ id }) => id),
    );
    missed.push(...page.filter(({ id }) => ids.has(id)));
    listed += page.length;
    page = [];
  }

  let brokenOff: Error | null = null;
  try {
    for await (const event of sent) {
      const type = `${source.typePrefix ?? ""}${event.type}`;
      if (types.length > 0 && !types.some((pattern) => fits(type, pattern))) continue;
      page.push({ ...event, type });
      if (page.length === AT_ONCE) await look();
    }
  } catch (error) {
    // What was listed before can be fetched all the same. An outage of the database is told as it is.
    if (!(error instanceof CliError || error instanceof TypeError)) throw error;
    brokenOff = error;
  }
  await look();
  missed.sort((a, b) => (a.createdAt?.getTime() ?? 0) - (b.createdAt?.getTime() ?? 0));
  return { listed, missed, brokenOff };
}

const fits = (type: string, pattern: string): boolean =>
  pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
