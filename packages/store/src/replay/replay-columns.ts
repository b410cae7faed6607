import type { Replay } from "@penstock/handler-sdk";
import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** The replay that an id names, as handlers see it: an expression of SQL. */
export const replayAs = (id: string): string => `
  (SELECT jsonb_strip_nulls(jsonb_build_object('id', r.id, 'reason', r.reason)) FROM penstock.replays r WHERE r.id = ${id})`;

const READ = statement({
  rows: { id: "text", replay: column<Replay>("jsonb") },
  text: sql`SELECT w.id, ${replayAs("w.id")} AS replay FROM unnest(${{ ids: "text[]" }}) AS w (id)`,
});

/** Replays by their ids, as handlers see them. */
export async function readReplays(client: pg.PoolClient, ids: readonly string[]): Promise<Map<string, Replay>> {
  if (ids.length === 0) return new Map();
  const { rows } = await query(client, READ, { ids });
  return new Map(rows.map(({ id, replay }) => [id, replay]));
}
