import { explainCertificateError, isCertificateError } from "@penstock/schemas";

/**
 * Thrown when Postgres cannot be reached, is shutting down or out of disk, or a connection broke. Transient: try again after a
 * pause, and count no attempt. A pause, since a Postgres with a full disk still answers a ping.
 */
export class DatabaseUnavailableError extends Error {
  readonly code = "DATABASE_UNAVAILABLE";
  override readonly name = "DatabaseUnavailableError";
}

/** Thrown when COMMIT was refused although every statement before it went well, e.g. by a deferred trigger. */
export class CommitFailedError extends Error {
  readonly code = "COMMIT_FAILED";
  override readonly name = "CommitFailedError";
}

/** Thrown when migrations of this version are missing in the database; says what to run. */
export class MigrationsPendingError extends Error {
  readonly code = "MIGRATIONS_PENDING";
  override readonly name = "MigrationsPendingError";
}

/** Thrown by a tail whose cursor is after the last event: the cursor is of another database, or the database was restored. */
export class CursorAheadError extends Error {
  readonly code = "CURSOR_AHEAD";
  override readonly name = "CursorAheadError";
}

/** Thrown inside a handler whose statement would break the transaction that it shares. */
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
  // A socket in the file system.
  "ENOENT",
  "EACCES",
]);
// admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, too_many_connections, read_only_sql_transaction
// (a primary that became a standby), idle_in_transaction_session_timeout (we were frozen), idle_session_timeout
const SERVER = new Set(["57P01", "57P02", "57P03", "57P04", "53300", "25006", "25P03", "57P05"]);
// insufficient_resources, disk_full, query_canceled (no handler can set a time-out), system_error, io_error. The rest of these
// classes are errors of a statement itself: out of memory or of lock space, temp_file_limit, a missing library.
const EXHAUSTED = new Set(["53000", "53100", "57014", "58000", "58030"]);
// pg reports these without a code.
const LOST =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|Query read timeout|Cannot use a pool after|The server does not support SSL connections)/;

const NO_TLS = "The server does not support SSL connections";

/** True when an error means that Postgres or the connection to it is gone, and not that a statement was wrong. */
export function isConnectionError(error: unknown): boolean {
  if (isCertificateError(error)) return true;
  const code = codeOf(error);
  if (code !== undefined)
    return code === "DATABASE_UNAVAILABLE" || NETWORK.has(code) || SERVER.has(code) || code.startsWith("08");
  return error instanceof Error && LOST.test(error.message);
}

/** True when Postgres is up and can do no work for anybody, e.g. with a full disk. */
export function isExhausted(error: unknown): boolean {
  return EXHAUSTED.has(codeOf(error) ?? "");
}

/** True when the engine gave up on a handler. The handler may go on, so nothing else may use its connection. */
export function isHandlerGivenUp(error: unknown): boolean {
  const code = codeOf(error);
  return code === "HANDLER_TIMEOUT" || code === "HANDLER_ABANDONED";
}

/** Wraps the errors of an outage, so that callers know them by their code; returns every other error as it is. */
export function toStoreError(error: unknown): unknown {
  if (error instanceof DatabaseUnavailableError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (isExhausted(error)) return new DatabaseUnavailableError(`Postgres cannot go on: ${message}`, { cause: error });
  if (!isConnectionError(error)) return error;
  if (isCertificateError(error)) {
    return new DatabaseUnavailableError(explainCertificateError("Postgres", message), { cause: error });
  }
  const hint = message === NO_TLS ? ": it is not encrypted. Take sslmode out of the URL, or switch ssl on there" : "";
  return new DatabaseUnavailableError(`Postgres is not available: ${message}${hint}`, { cause: error });
}

/** Thrown when a handler cannot be given what it declares to read or write, or cannot run as its role; says which, and why. */
export class HandlerAccessError extends Error {
  readonly code = "HANDLER_ACCESS";
  override readonly name = "HandlerAccessError";
}

/** Thrown by `migrate` when the database cannot be brought up to date; says which migration failed, and how. */
export class MigrationFailedError extends Error {
  readonly code = "MIGRATION_FAILED";
  override readonly name = "MigrationFailedError";
}
