/** The tables of the handler's own schema, `daily_stats`, for Kysely. `bigint` is text in JavaScript. */
export interface Tables {
  hourly: { hour: Date; source: string; type: string; channel: string; events: string };
  daily: { day: Date; source: string; type: string; channel: string; events: string };
  counted: { seq: string; hour: Date };
}
