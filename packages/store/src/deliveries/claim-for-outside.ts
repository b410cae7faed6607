import type { ClaimedDelivery, ClaimedEffect, EngineStore } from "@penstock/engine";
import { isEndpointId } from "@penstock/schemas";
import { claimDeliveries } from "./claim-deliveries.ts";
import { claimLanes } from "./claim-lanes.ts";
import { query, type Queryable, type Store } from "../connection/create-store.ts";
import { readEvents } from "../events/read-events.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";

type Claim = Parameters<EngineStore["claimForOutside"]>[0];

/** Claims due deliveries of a subscriber that works outside of Postgres; see EngineStore.claimForOutside. */
export async function claimForOutside(store: Store, claim: Claim): ReturnType<EngineStore["claimForOutside"]> {
  const { rateLimit } = claim;
  if (!rateLimit) return { claimed: await describe(store, await take(store.pool, claim)), waitMs: 0 };
  const { taken, waitMs } = await transaction(store, async (client) => {
    const { left, waitMs } = await lockRate(client, claim.subscriber, rateLimit);
    const taken = left > 0 ? await take(client, { ...claim, limit: Math.min(claim.limit, left) }) : [];
    if (taken.length > 0) await countRate(client, claim.subscriber, { ...rateLimit, started: taken.length });
    return { taken, waitMs: taken.length < left ? 0 : waitMs };
  });
  return { claimed: await describe(store, taken), waitMs };
}

/** Claims deliveries in no lane, then heads of lanes while the limit leaves room. */
async function take(db: Queryable, { lanes, ...claim }: Claim): Promise<ClaimedDelivery[]> {
  const claimed = await claimDeliveries(db, claim);
  if (lanes === null) return claimed;
  for (const interrupted of claim.interrupted === undefined ? [false, true] : [claim.interrupted]) {
    const limit = claim.limit - claimed.length;
    if (limit === 0) break;
    claimed.push(...(await claimLanes(db, { ...claim, ...lanes, interrupted, limit })));
  }
  return claimed;
}

/** Reads the events and the recorded effects of claimed deliveries, in the order of the claim. */
async function describe({ pool }: Store, claimed: readonly ClaimedDelivery[]): Promise<ClaimedEffect[]> {
  if (claimed.length === 0) return [];
  const withEffects = claimed.filter(({ subscriber }) => !isEndpointId(subscriber));
  const [events, done] = await Promise.all([readEvents(pool, claimed), readEffects(pool, withEffects)]);
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  return claimed.flatMap((delivery, at) => {
    const event = bySeq.get(delivery.seq);
    return event === undefined ? [] : [{ delivery, event, done: new Map(Object.entries(done.get(at + 1) ?? {})) }];
  });
}

const READ_EFFECTS = statement({
  name: "penstock-read-effects",
  rows: { nth: "int8", done: column<Record<string, unknown>>("json") },
  text: sql`
    SELECT w.nth, f.done
      FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]", generations: "int2[]" }}) WITH ORDINALITY
             AS w (day, seq, subscriber, generation, nth),
           LATERAL (SELECT json_object_agg(key, result) AS done FROM penstock.effects f
                     WHERE f.day = w.day AND f.seq = w.seq AND f.subscriber = w.subscriber AND f.generation = w.generation) AS f
     WHERE f.done IS NOT NULL`,
});

async function readEffects(db: Queryable, claimed: readonly ClaimedDelivery[]) {
  if (claimed.length === 0) return new Map<number, Record<string, unknown>>();
  const { rows } = await query(db, READ_EFFECTS, {
    days: claimed.map(({ day }) => day),
    seqs: claimed.map(({ seq }) => seq),
    subscribers: claimed.map(({ subscriber }) => subscriber),
    generations: claimed.map(({ generation }) => generation),
  });
  return new Map(rows.map(({ nth, done }) => [Number(nth), done]));
}

type RateLimit = NonNullable<Claim["rateLimit"]>;

const handler = { handler: "text" } as const;
const max = { max: "int4" } as const;
const perMs = { perMs: "float8" } as const;

const LOCK_RATE = statement({
  name: "penstock-lock-rate",
  rows: { left: "int4", waitMs: "float8" },
  text: sql`
    SELECT CASE WHEN until > clock_timestamp() THEN ${max} - rate_started ELSE ${max} END AS left,
           CASE WHEN until > clock_timestamp() THEN extract(epoch FROM until - clock_timestamp()) * 1000
                ELSE ${perMs} END::float8 AS "waitMs"
      FROM (SELECT rate_started, rate_since + make_interval(secs => ${perMs} / 1000) AS until
              FROM penstock.handlers WHERE name = ${handler} FOR UPDATE) AS rate`,
});

/** Locks the rate of a handler, which all workers share; says how many deliveries may start, and how long until more may. */
async function lockRate(db: Queryable, handler: string, { max, perMs }: RateLimit) {
  const { rows } = await query(db, LOCK_RATE, { handler, max, perMs });
  // A handler that nobody has registered has no row to count in, and no worker runs it.
  return rows[0] ?? { left: max, waitMs: perMs };
}

const COUNT_RATE = statement({
  name: "penstock-count-rate",
  text: sql`
    UPDATE penstock.handlers
       SET (rate_since, rate_started) = (
             SELECT CASE WHEN on_going THEN rate_since ELSE clock_timestamp() END,
                    CASE WHEN on_going THEN rate_started ELSE 0 END + ${{ started: "int4" }}
               FROM (SELECT coalesce(rate_since + make_interval(secs => ${perMs} / 1000) > clock_timestamp(), false)
                              AS on_going) AS period)
     WHERE name = ${handler}`,
});

/** Counts started deliveries. A period begins with the first start after the period before. */
async function countRate(db: Queryable, handler: string, { perMs, started }: RateLimit & { readonly started: number }) {
  await query(db, COUNT_RATE, { handler, perMs, started });
}
