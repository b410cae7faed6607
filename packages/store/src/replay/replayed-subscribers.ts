import { ALL_TYPES, OWN_EVENT_TYPES } from "@penstock/schemas";
import { type Sql, sql } from "../connection/sql.ts";

/**
 * SQL: a replay is about the row `h` of handlers: the one that is named or, without a name, every handler. Endpoints only by name,
 * since their deliveries leave the system.
 */
export const isMeant = <Values>(named: string | Sql<Values>, h: string): Sql<Values> =>
  sql`(${named} IS NULL AND ${h}.kind <> 'endpoint' OR ${h}.name = ${named})` as Sql<Values>;

/** SQL: the row `h` of handlers subscribes to a type; `*` stands for all types but Penstock's own. */
export const wantsType = <Values>(type: string | Sql<Values>, h: string): Sql<Values> =>
  sql`(${type} = ANY(${h}.types) OR ${h}.types = '{${ALL_TYPES}}' AND ${type} <> ALL('{${OWN_EVENT_TYPES.join(",")}}'))` as Sql<Values>;
