import { type ArchivedEvent, ledgerEntryOf } from "../archive/archived-event.ts";
import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { BATCH_EVENTS } from "../events/batch-format.ts";
import type { ErasureJob } from "./erasures.ts";
import { createFinder, isInTexts, toLooks } from "./wanted.ts";

/** Takes archived events through an erasure, a day after another, the oldest first. */
export interface ArchiveEraser {
  /** The event itself where there is nothing to erase; else what is left of it. Twice the same for the same event. */
  map(event: ArchivedEvent): ArchivedEvent;
  /** Puts on record which events of a day were erased, for those that are brought back, and for copies that come again. */
  note(day: string): Promise<void>;
}

const ERASED = statement({
  rows: { seq: "int8" },
  text: sql`SELECT seq FROM penstock.erased_events`,
});

const NOTE = statement({
  text: sql`
    INSERT INTO penstock.erased_events (day, seq, erasure, key)
    SELECT ${{ day: "date" }}, seq, ${{ erasure: "int4" }}, key FROM unnest(${{ seqs: "int8[]", keys: "uuid[]" }}) AS e (seq, key)
        ON CONFLICT DO NOTHING`,
});

/** What was erased from the database is erased from its archive, and so is what only the archive has. */
export async function createArchiveEraser(store: Store, job: ErasureJob): Promise<ArchiveEraser> {
  const erased = new Set((await query(store.pool, ERASED)).rows.map(({ seq }) => Number(seq)));
  const looks = toLooks(job.wanted);
  const finder = createFinder(job.wanted.filter(isInTexts).map(({ value }) => value));
  let ofDay = new Map<number, ArchivedEvent>();
  const isMeant = (event: ArchivedEvent): boolean =>
    erased.has(event.seq) ||
    (event.replay !== null && erased.has(event.replay.of)) ||
    (Math.floor(event.seq / BATCH_EVENTS) <= job.lastBatch && looks.some(({ accepts }) => accepts(event)));
  return {
    map(event) {
      if (event.problem === "erased") return event;
      if (!isMeant(event)) return cleaned(event, finder.takeOut);
      ofDay.set(event.seq, event);
      erased.add(event.seq);
      const { id, quarantine, body } = event;
      const keepsId = id !== null && !finder.isPartOf(id);
      return {
        ...event,
        id: keepsId ? id : null,
        key: event.key ?? (keepsId ? null : ledgerEntryOf("2000-01-01", { ...event, problem: null }).key),
        subjects: [],
        problem: "erased",
        quarantine: quarantine && { ...quarantine, detail: null },
        arrival: null,
        body: Buffer.alloc(body.length, 0x20),
      };
    },
    async note(day) {
      const events = [...ofDay.values()];
      ofDay = new Map();
      if (events.length === 0) return;
      const seqs = events.map(({ seq }) => seq);
      const keys = events.map((event) => event.key ?? ledgerEntryOf(day, { ...event, problem: null }).key);
      await query(store.pool, NOTE, { day, erasure: job.id, seqs, keys });
    },
  };
}

/** An event about others, without the value where it stands in what is kept of how it came. */
function cleaned(event: ArchivedEvent, takeOut: (text: string) => string): ArchivedEvent {
  const { arrival, quarantine } = event;
  const detail = quarantine?.detail == null ? null : takeOut(quarantine.detail);
  const headers = arrival?.headers.map(({ name, value }) => ({ name, value: takeOut(value) })) ?? [];
  const isSame =
    detail === (quarantine?.detail ?? null) && headers.every(({ value }, at) => value === arrival?.headers[at]?.value);
  if (isSame) return event;
  return { ...event, quarantine: quarantine && { ...quarantine, detail }, arrival: arrival && { ...arrival, headers } };
}
