import type { EventPointer } from "../events/find-events.ts";
import { findEvents } from "../events/find-events.ts";
import { query, type Store } from "../connection/create-store.ts";
import type { Search } from "./search-terms.ts";
import { STEPS } from "./search-statements.ts";

/** An event that was found, all but what its body has to say. */
export interface FoundPointer extends EventPointer {
  readonly receivedAt: Date;
}

export interface Step {
  /** The newest first. */
  readonly found: readonly FoundPointer[];
  /** Everything above was looked at; null: everything. */
  readonly downTo: EventPointer | null;
}

export interface Walk {
  /** Only events below. */
  readonly before: EventPointer | null;
  /** How many events a step gives at most. */
  readonly wanted: number;
  /** Of those in quarantine only what nobody has dismissed. */
  readonly open: boolean;
}

/** The first step looks at few, since what is asked for is mostly near; the longest takes some hundred milliseconds. */
const FIRST_SCAN = 500;
const MOST_SCANNED = 16_000;

/**
 * Goes through the processed events that fit, the newest first, in steps of bounded cost. What is rare by an index is looked
 * at by that; else what the filters of words leave; else one event after another.
 */
export async function* walkEvents(
  store: Store,
  { conditions, bodyTerms }: Search,
  { before, wanted, open }: Walk,
): AsyncGenerator<Step> {
  const { ids, states, statuses, handlers, probes } = conditions;
  if (handlers?.length === 0 || statuses?.every((status) => status === "pending")) {
    yield { found: [], downTo: null };
    return;
  }
  const named = ids === null ? null : await findNamed(store, ids);
  const isOfIndex = states !== null && !states.includes("succeeded");
  const lead =
    named !== null
      ? STEPS.named
      : statuses?.length === 1 && statuses[0] === "quarantined"
        ? STEPS.quarantined
        : isOfIndex
          ? handlers === null
            ? STEPS.ofState
            : STEPS.ofHandler
          : probes === null
            ? STEPS.events
            : STEPS.ofWords;
  let scan = named === null ? FIRST_SCAN : Math.max(1, named.length + 1);
  for (let from = before; ;) {
    const values = {
      ...conditions,
      days: named?.map(({ day }) => day),
      seqs: named?.map(({ seq }) => seq),
      open,
      beforeDay: from?.day,
      beforeSeq: from?.seq,
      scan,
      wanted: bodyTerms.length > 0 ? Math.max(wanted, 200) : wanted,
    };
    const { rows } = await query(store.pool, lead, values);
    const [step] = rows;
    const downTo = step?.day == null || step.seq == null ? null : { day: step.day, seq: Number(step.seq) };
    yield {
      found: (step?.found ?? []).map(({ day, seq, receivedAt }) => ({ day, seq, receivedAt: new Date(receivedAt) })),
      downTo,
    };
    if (downTo === null) return;
    from = downTo;
    scan = Math.min(scan * 4, MOST_SCANNED);
  }
}

async function findNamed(store: Store, ids: readonly string[]): Promise<EventPointer[]> {
  const found: EventPointer[] = [];
  for (const id of ids) found.push(...(await findEvents(store, id)));
  return found;
}
