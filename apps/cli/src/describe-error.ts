/**
 * An error in words for people. Errors of ours and of the system have a code and say all that is to say; of any other,
 * where it was thrown is told as well.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `unexpected: ${String(error)}`;
  if (!("code" in error)) return error.stack ?? error.message;
  const message = error.message.trim();
  // Words that end in a colon wrap an error that has none of its own.
  return message === "" || message.endsWith(":") ? `${message} ${innermost(error)}`.trim() : message;
}

/** What is at the bottom: a name that leads to several addresses fails with an AggregateError without words. */
function innermost(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((each) => innermost(each as Error)).join("; ");
  return error.cause instanceof Error ? innermost(error.cause) : error.message;
}
