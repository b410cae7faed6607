/** Thrown when an answer did not come in time; it may still come, and nobody waits for it. */
export class NoAnswerError extends Error {
  readonly code = "NO_ANSWER";
  override readonly name = "NoAnswerError";
}

/** Waits for an answer: a frozen server or a half-open connection gives none, ever. @throws NoAnswerError */
export async function within<T>(timeoutMs: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswerError(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => undefined); // may still fail after nobody waits for it
  }
}
