/** Thrown when a command cannot do what it was asked to; the message says why and what to do. Ends with exit code 1. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly code = "CLI";
}

/** Thrown when a command was called in a way that it does not understand. Ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "USAGE";
}

/** Thrown when a command has already told its result, and the result is a failure. Ends with exit code 1, silently. */
export class ReportedFailure extends Error {
  override readonly name = "ReportedFailure";
  readonly code = "REPORTED";
}

/** Thrown when a command was told to stop before it was done, and has told how far it came. Ends with exit code 130. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";
  readonly code = "STOPPED";
}
