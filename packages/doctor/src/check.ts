import type { Handler } from "@penstock/handler-sdk";
import type { EventQueue } from "@penstock/queue";
import type { Setting } from "@penstock/schemas";
import type { Store, WatchedSource } from "@penstock/store";

/** `fail`: something does not work, or data can be lost. `warn`: it works, and will not for long, or not as it should. */
export type Level = "ok" | "warn" | "fail";

/** What a check has found. */
export interface Finding {
  /** Part and subject, e.g. `postgres.fsync`: the same in every version. */
  readonly id: string;
  readonly level: Level;
  /** What was found, and what it means. */
  readonly says: string;
  /** What to do; null when all is well. */
  readonly todo: string | null;
}

/** What is looked at. */
export interface Patient {
  readonly store: Store;
  /** Null where its address is wrong. */
  readonly queue: Pick<EventQueue, "backend" | "inspect" | "warnings"> | null;
  readonly settings: readonly Setting[];
  /** Names of variables that are called as ours are, and that nothing reads. */
  readonly unknownSettings: readonly string[];
  /** What secrets are sealed with; null: none is set. */
  readonly masterKeys: string | null;
  /** The handlers that are plugged in, whose migrations are asked for. */
  readonly handlers: readonly Pick<Handler, "schema" | "migrations">[];
  /** Who may send, and how long each may be silent. */
  readonly sources: readonly WatchedSource[];
  /** Where ingest keeps what it answers with 503; null: not known here. */
  readonly refusedFolder: string | null;
  /** Where traces and metrics are sent. */
  readonly exporters: readonly string[];
  readonly version: string;
  /** How long a transaction may be under way before it is told, in seconds; 300 unless given. */
  readonly oldTransactionSeconds?: number;
  /** How a user types the command, for hints. */
  readonly penstock: string;
}

export interface Check {
  /** The part that it looks at, as a heading has it. */
  readonly part: string;
  /** It asks Postgres, and is left out while Postgres is away. */
  readonly asksPostgres: boolean;
  run(patient: Patient): Promise<readonly Finding[]>;
}

export const ok = (id: string, says: string): Finding => ({ id, level: "ok", says, todo: null });
export const warn = (id: string, says: string, todo: string): Finding => ({ id, level: "warn", says, todo });
export const fail = (id: string, says: string, todo: string): Finding => ({ id, level: "fail", says, todo });
