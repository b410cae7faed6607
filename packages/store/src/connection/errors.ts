import { explainCertificateError, isCertificateError } from "@penstock/schemas";

/**
 * Thrown when Postgres cannot be reached, is shutting down or out of disk, or a connection broke: nobody's fault, so try
 * again later and count no attempt. Not at once: a Postgres whose disk is full still answers a ping.
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

/** Thrown when the database was not migrated by this version; says what to run. */
export class MigrationsPendingError extends Error {
  readonly code = "MIGRATIONS_PENDING";
  override readonly name = "MigrationsPendingError";
}

/** Thrown by a tail whose cursor is after the last event: it was made with another database, or this one was set back. */
export class CursorAheadError extends Error {
  readonly code = "CURSOR_AHEAD";
  override readonly name = "CursorAheadError";
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
  // Of a socket in the file system.
  "ENOENT",
  "EACCES",
]);
// admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, too_many_connections, read_only_sql_transaction
// (a primary that became a standby), idle_in_transaction_session_timeout (we were frozen), idle_session_timeout
const SERVER = new Set(["57P01", "57P02", "57P03", "57P04", "53300", "25006", "25P03", "57P05"]);
// insufficient_resources, disk_full, query_canceled (no handler can set a time-out), system_error, io_error. Not the rest
// of their classes, which a statement can bring upon itself whenever it runs: out of memory or of lock space,
// temp_file_limit, a library that is not installed.
const EXHAUSTED = new Set(["53000", "53100", "57014", "58000", "58030"]);
// pg reports these without a code.
const LOST =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|Query read timeout|Cannot use a pool after|The server does not support SSL connections)/;

const NO_TLS = "The server does not support SSL connections";

/** True when an error says that Postgres or the way to it is gone, and not that a statement was wrong. */
export function isConnectionError(error: unknown): boolean {
  if (isCertificateError(error)) return true;
  const code = codeOf(error);
  if (code !== undefined)
    return code === "DATABASE_UNAVAILABLE" || NETWORK.has(code) || SERVER.has(code) || code.startsWith("08");
  return error instanceof Error && LOST.test(error.message);
}

/** True when Postgres is there and cannot do what is asked of it, whoever asks. */
export function isExhausted(error: unknown): boolean {
  return EXHAUSTED.has(codeOf(error) ?? "");
}

/** True when the engine gave up on a handler that may go on: its connection must not be touched again. */
export function isHandlerGivenUp(error: unknown): boolean {
  const code = codeOf(error);
  return code === "HANDLER_TIMEOUT" || code === "HANDLER_ABANDONED";
}

/** Wraps what is nobody's fault so that callers can tell it by its code; leaves every other error as it is. */
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
