import type { Replay } from "@penstock/handler-sdk";
import type pg from "pg";
import { query } from "./create-store.ts";

/** The replay that an id names, as handlers see it: an expression of SQL. */
export const replayAs = (id: string): string => `
  (SELECT jsonb_strip_nulls(jsonb_build_object('id', r.id, 'reason', r.reason)) FROM penstock.replays r WHERE r.id = ${id})`;

/** Replays by their ids, as handlers see them. */
export async function readReplays(client: pg.PoolClient, ids: readonly string[]): Promise<Map<string, Replay>> {
  if (ids.length === 0) return new Map();
  const { rows } = await query<{ id: string; replay: Replay }>(
    client,
    `SELECT w.id, ${replayAs("w.id")} AS replay FROM unnest($1::text[]) AS w (id)`,
    [ids],
  );
  return new Map(rows.map(({ id, replay }) => [id, replay]));
}
