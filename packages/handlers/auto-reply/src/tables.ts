import type { ColumnType } from "kysely";

/** The tables of the handler's own schema, `auto_reply`, for Kysely. */
export interface Tables {
  /** Which message a conversation is answered for on a local day. */
  replied: {
    source: string;
    conversation_id: string;
    day: ColumnType<Date, string>;
    seq: ColumnType<string, number>;
  };
}
