import { variables } from "./variables.ts";

/** How long what is kept, where no source says otherwise. */
export interface RetentionConfig {
  readonly days: number;
  /** What Penstock's tables may take; null: no limit. */
  readonly bytes: number | null;
  readonly dedupeWindowDays: number;
}

const { RETENTION_DAYS, RETENTION_BYTES, DEDUPE_WINDOW_DAYS } = variables;

export const retentionVariables = { RETENTION_DAYS, RETENTION_BYTES, DEDUPE_WINDOW_DAYS };

export function toRetentionConfig(values: {
  readonly RETENTION_DAYS: number;
  readonly RETENTION_BYTES: number | null;
  readonly DEDUPE_WINDOW_DAYS: number;
}): RetentionConfig {
  return {
    days: values.RETENTION_DAYS,
    bytes: values.RETENTION_BYTES,
    dedupeWindowDays: values.DEDUPE_WINDOW_DAYS,
  };
}
