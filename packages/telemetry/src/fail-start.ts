/**
 * Ends a process that could not start, with plain words on standard error for whoever started it; the stack only when
 * the error is none of those that we know and word ourselves. To be called by a `main.ts`.
 */
export function failStart(service: string, error: unknown): never {
  const known = error instanceof Error && "code" in error;
  const words = error instanceof Error ? (known ? error.message : error.stack) : String(error);
  process.stderr.write(`${service} could not start: ${words}\n`);
  process.exit(1);
}
