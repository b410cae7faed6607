/** An error in one line. A connection that is refused on every address has no message, only a code. */
export function summarizeError(error: unknown): { error: string; code?: string } {
  const { message, code } = error instanceof Error ? (error as NodeJS.ErrnoException) : { message: String(error) };
  return { error: message || (code ?? "unknown"), ...(code === undefined ? {} : { code }) };
}
