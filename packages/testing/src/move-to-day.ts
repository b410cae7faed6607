interface Queryable {
  query(text: string, values?: unknown[]): Promise<unknown>;
}

const BY_SEQ = ["events", "deliveries", "attempts", "effects", "event_words", "event_keys", "quarantine"] as const;
const TABLES = ["events", "deliveries", "attempts", "effects", "event_words", "batches"] as const;

/**
 * Has what was received be of another day, e.g. one long past: the events with these ids and what came in the same batches. The day
 * gets its partitions.
 */
export async function moveToDay(db: Queryable, day: string, ids: readonly (string | null)[]): Promise<void> {
  const create = TABLES.map((table) => {
    const name = `penstock.${table}_${day.replaceAll("-", "")}`;
    return `IF to_regclass('${name}') IS NULL THEN
              CREATE TABLE ${name} PARTITION OF penstock.${table} FOR VALUES FROM ('${day}') TO ('${dayAfter(day)}');
            END IF;`;
  });
  await db.query(`DO $$ BEGIN ${create.join("\n")} END $$`);
  const batches = "(SELECT seq / 1024 FROM penstock.events WHERE event_id = ANY($2))";
  await db.query(
    `WITH moved AS MATERIALIZED (SELECT DISTINCT batch FROM ${batches} AS found (batch)),
          ${BY_SEQ.map((table) => `${table} AS (UPDATE penstock.${table} SET day = $1 WHERE seq / 1024 IN (SELECT batch FROM moved))`).join(", ")}
     UPDATE penstock.batches SET day = $1 WHERE batch IN (SELECT batch FROM moved)`,
    [day, ids],
  );
}

function dayAfter(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}
