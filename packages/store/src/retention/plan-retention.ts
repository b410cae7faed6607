import { findUnarchived } from "../archive/archives.ts";
import type { Queryable, Store } from "../connection/create-store.ts";
import { countDay } from "./count-day.ts";
import { countRest, type RestCount } from "./forget-rest.ts";
import { type Forecast, forecast } from "./forecast.ts";
import { findHolds, type Hold } from "./find-holds.ts";
import { countKept, type KeptEvents, keptEvents } from "./kept-events.ts";
import { addDays, isHalfGone, listDays, readBytes, readToday, type StoredDay } from "./list-days.ts";
import { type RetentionPolicy, termOf, termsOf } from "./policy.ts";

/** What becomes of a day that is over. */
export interface PlannedDay {
  readonly day: string;
  readonly bytes: number;
  /**
   * `drop`: all of it goes. `thin`: some of its events go, the others are kept. `keep`: it stays for now. `restore`: it was left half
   * gone by a crash and is not due any more.
   */
  readonly action: "drop" | "thin" | "keep" | "restore";
  /** Because of its age, or since the limit of bytes is exceeded. Null: nothing of it goes. */
  readonly why: "age" | "bytes" | null;
  /** How many events go. */
  readonly goes: number;
  /** About as many bytes are freed: the share of the events that go. */
  readonly frees: number;
  /** The first day on which something of it may go by age. */
  readonly dueOn: string;
  readonly kept: readonly KeptEvents[];
  readonly holds: readonly Hold[];
}

export interface RetentionPlan {
  readonly policy: RetentionPolicy;
  /** What Penstock's tables take. */
  readonly bytes: number;
  readonly frees: number;
  readonly forecast: Forecast;
  /** The oldest first; never today. */
  readonly days: readonly PlannedDay[];
  /** Rows of tables that have no days. */
  readonly rest: readonly RestCount[];
}

/** Less than this share of a large day is not worth writing the rest anew: it goes with what follows. */
const WORTH_IT = 0.05;
const LARGE_DAY = 100_000;

/**
 * Tells what would go now, and why the rest is kept. Deletes nothing. `today` is the day that it is (UTC), by the clock of Postgres
 * unless given.
 */
export async function planRetention(store: Store, policy: RetentionPolicy, today?: string): Promise<RetentionPlan> {
  return planWith(store.pool, policy, today ?? (await readToday(store.pool)));
}

/** {@link planRetention} on one connection. */
export async function planWith(db: Queryable, policy: RetentionPolicy, today: string): Promise<RetentionPlan> {
  const bytes = await readBytes(db);
  const days: PlannedDay[] = [];
  let over = policy.bytes === null ? 0 : bytes - policy.bytes;
  // By age first: what goes by age may be enough.
  const stored = await listDays(db, today);
  for (const day of stored) days.push(await planDay(db, policy, day, "age"));
  over -= sum(days);
  for (const [at, day] of stored.entries()) {
    const planned = days[at];
    if (over <= 0 || planned === undefined || planned.action === "drop") continue;
    const byBytes = await planDay(db, policy, day, "bytes");
    if (byBytes.frees <= planned.frees) continue;
    over -= byBytes.frees - planned.frees;
    days[at] = byBytes;
  }
  const ahead = await forecast(db, policy, { today, bytes, days: stored });
  return { policy, bytes, frees: sum(days), forecast: ahead, days, rest: await countRest(db, policy, today) };
}

const sum = (days: readonly PlannedDay[]): number => days.reduce((total, { frees }) => total + frees, 0);

/** What becomes of one day. By bytes, terms count for nothing. */
async function planDay(
  db: Queryable,
  policy: RetentionPolicy,
  stored: StoredDay,
  why: "age" | "bytes",
): Promise<PlannedDay> {
  const { day, ago, bytes } = stored;
  const dueOn = addDays(day, termsOf(policy).shortest + 1);
  const untouched = { day, bytes, why: null, goes: 0, frees: 0, dueOn, kept: [], holds: [] } as const;
  const stays = { ...untouched, action: isHalfGone(stored) ? "restore" : "keep" } as const;
  if (why === "age" && ago <= termsOf(policy).shortest) return stays;
  const holds: Hold[] = isHalfGone(stored) ? [] : await findHolds(db, day);
  const unarchived = policy.archive === undefined ? null : await findUnarchived(db, policy.archive.url, day);
  if (unarchived !== null) holds.push({ reason: "unarchived", of: unarchived, count: 1 });
  if (holds.length > 0) return { ...stays, holds };
  const counts = await countDay(db, day);
  const events = counts.reduce((total, one) => total + one.events, 0);
  const keptTypes = why === "bytes" ? [] : counts.filter(({ source, type }) => ago <= termOf(policy, source, type));
  const ofTerm = keptTypes.reduce((total, one) => total + one.events, 0);
  const least = events > LARGE_DAY ? WORTH_IT * events : 1;
  if (ofTerm > 0 && events - ofTerm < least) {
    const sources = Map.groupBy(keptTypes, ({ source }) => source);
    const kept = [...sources].map(([of, types]) => ({
      reason: "term" as const,
      of,
      events: types.reduce((total, one) => total + one.events, 0),
    }));
    return { ...stays, kept };
  }
  const kept = await countKept(db, `(${keptEvents(day, keptTypes)})`);
  const goes = events - kept.reduce((total, one) => total + one.events, 0);
  if (kept.length === 0) return { ...untouched, action: "drop", why, goes, frees: bytes };
  if (goes < least) return { ...stays, kept };
  return { ...untouched, action: "thin", why, goes, frees: Math.round((bytes * goes) / events), kept };
}
