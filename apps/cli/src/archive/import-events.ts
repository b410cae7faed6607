import { type OpenedFile, readEvents } from "@penstock/archive";
import type { NewEvent } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import { toNewEvent } from "@penstock/store";

const DAY_MS = 86_400_000;

/** A file that is imported: what it is, its first line has told. */
export interface ImportedFile {
  readonly file: OpenedFile;
  /** Null: standard input. */
  readonly path: string | null;
  /** How far back the ledger can vouch that an event is new. */
  readonly windowDays: number;
  /** Tells what is left out. */
  readonly say: (text: string) => void;
}

/**
 * The events of a file in the format of the archive, as intake takes them. They come in anew: with their ids and bodies, so that the
 * ledger knows those that were there, and with a new time of receipt.
 */
export async function* importEvents({ file, windowDays }: ImportedFile): AsyncGenerator<NewEvent> {
  for await (const event of readEvents(file)) {
    const { problem, createdAt } = event;
    const isTooOld = createdAt !== null && createdAt.getTime() < wallClockMs() - windowDays * DAY_MS;
    // A conflict is found anew, from the same id; what was too old then may be known by now.
    const own = problem === "id-conflict" || problem === "too-old" ? null : problem;
    yield { ...toNewEvent(event), problem: own ?? (isTooOld ? "too-old" : null), replay: null };
  }
}
