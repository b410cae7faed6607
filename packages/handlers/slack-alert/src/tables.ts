import type { ColumnType, Generated } from "kysely";

/** The tables of the handler's own schema, `slack_alert`, for Kysely. */
export interface Tables {
  failures: {
    seq: ColumnType<string, number>;
    failed_at: Date;
    reason: string;
    message: string | null;
    channel: string | null;
    example: ColumnType<Example, string>;
  };
  /** When the failure came that completed the last alert's window; one row. */
  last_alert: { single: Generated<boolean>; at: Date | number };
}

/** What leads to a failed message. */
export interface Example {
  readonly source: string;
  readonly eventId: string;
  readonly messageId: string;
  readonly conversationId: string;
  readonly contactId: string;
}
