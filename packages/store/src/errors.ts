/** Thrown when Postgres cannot be reached, is shutting down, or a connection broke: nobody's fault, try again later. */
export class DatabaseUnavailableError extends Error {
  readonly code = "DATABASE_UNAVAILABLE";
  override readonly name = "DatabaseUnavailableError";
}

/** Thrown when COMMIT was refused although every statement before it went well, e.g. by a deferred trigger. */
export class CommitFailedError extends Error {
  readonly code = "COMMIT_FAILED";
  override readonly name = "CommitFailedError";
}

/** Thrown when the database was not migrated by this version; says what to run. */
export class MigrationsPendingError extends Error {
  readonly code = "MIGRATIONS_PENDING";
  override readonly name = "MigrationsPendingError";
}

/** Thrown inside a handler that asks `ctx.tx` for something that would break the transaction it shares. */
export class ForbiddenStatementError extends Error {
  readonly code = "FORBIDDEN_STATEMENT";
  override readonly name = "ForbiddenStatementError";
}

export function codeOf(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

const NETWORK = new Set([
  "ECONNABORTED",
  "ENETDOWN",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
]);
// admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, too_many_connections, read_only_sql_transaction
// (a primary that became a standby), idle_in_transaction_session_timeout (we were frozen)
const SERVER = new Set(["57P01", "57P02", "57P03", "57P04", "53300", "25006", "25P03"]);
// pg reports these without a code.
const LOST =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|Query read timeout|Cannot use a pool after)/;

/** True when an error says that Postgres or the way to it is gone, and not that a statement was wrong. */
export function isConnectionError(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined)
    return code === "DATABASE_UNAVAILABLE" || NETWORK.has(code) || SERVER.has(code) || code.startsWith("08");
  return error instanceof Error && LOST.test(error.message);
}

/** Wraps a connection error so that callers can tell it by its code; leaves every other error as it is. */
export function toStoreError(error: unknown): unknown {
  if (!isConnectionError(error) || error instanceof DatabaseUnavailableError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new DatabaseUnavailableError(`Postgres is not available: ${message}`, { cause: error });
}
