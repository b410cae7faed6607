/** Thrown when no embedded Postgres exists for this operating system or processor. */
export class UnsupportedPlatformError extends Error {
  override readonly name = "UnsupportedPlatformError";
  readonly code = "POSTGRES_UNSUPPORTED_PLATFORM";
}

/** Thrown when the npm package that carries the Postgres programs is absent or was installed without its install script. */
export class BinariesMissingError extends Error {
  override readonly name = "BinariesMissingError";
  readonly code = "POSTGRES_BINARIES_MISSING";
}

/** Thrown when data exists that this server or this user cannot use; the data is left as it is. */
export class DataUnusableError extends Error {
  override readonly name = "DataUnusableError";
  readonly code = "POSTGRES_DATA_UNUSABLE";
}

/** Thrown when another process has held a lock for longer than the caller wants to wait. */
export class LockTimeoutError extends Error {
  override readonly name = "LockTimeoutError";
  readonly code = "LOCK_TIMEOUT";
}

/** Thrown when Postgres or its initialisation ends or never answers; the message carries the last lines of its log. */
export class StartFailedError extends Error {
  override readonly name = "StartFailedError";
  readonly code = "POSTGRES_START_FAILED";
}

/** Thrown when a server could not be ended, not even by SIGKILL. */
export class StopFailedError extends Error {
  override readonly name = "StopFailedError";
  readonly code = "POSTGRES_STOP_FAILED";
}
