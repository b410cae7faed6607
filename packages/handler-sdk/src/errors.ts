/** Thrown by a handler when trying again can never help, e.g. the customer was deleted: the delivery is dead at once. */
export class PermanentError extends Error {
  readonly code = "PERMANENT";
  override readonly name = "PermanentError";
}

/** Thrown by a handler that knows when it is worth trying again, e.g. from a Retry-After header. */
export class RetryAfterError extends Error {
  readonly code = "RETRY_AFTER";
  override readonly name = "RetryAfterError";
  /** How long to wait before the next try, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number, message = `try again in ${retryAfterMs} ms`, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Thrown by {@link defineHandler} and {@link defineConfig} when a definition cannot work; says which and why. */
export class HandlerDefinitionError extends Error {
  readonly code = "HANDLER_DEFINITION";
  override readonly name = "HandlerDefinitionError";
}
