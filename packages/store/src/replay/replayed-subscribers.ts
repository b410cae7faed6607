import { ALL_TYPES, OWN_EVENT_TYPES } from "@penstock/schemas";
import { type Sql, sql } from "../connection/sql.ts";

/**
 * Whether a replay is about a row `h` of handlers: the one that is named or, where none is, every handler. Endpoints only by
 * name: what handlers do again stays here, and what endpoints get goes to others.
 */
export const isMeant = <Values>(named: string | Sql<Values>, h: string): Sql<Values> =>
  sql`(${named} IS NULL AND ${h}.kind <> 'endpoint' OR ${h}.name = ${named})` as Sql<Values>;

/** Whether a row `h` of handlers subscribes to a type; all is all but our own. */
export const wantsType = <Values>(type: string | Sql<Values>, h: string): Sql<Values> =>
  sql`(${type} = ANY(${h}.types) OR ${h}.types = '{${ALL_TYPES}}' AND ${type} <> ALL('{${OWN_EVENT_TYPES.join(",")}}'))` as Sql<Values>;
