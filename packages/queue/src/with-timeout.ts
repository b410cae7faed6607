/** Thrown when no answer came in time. The answer may still come. */
export class NoAnswerError extends Error {
  readonly code = "NO_ANSWER";
  override readonly name = "NoAnswerError";
}

/** Waits for an answer, which a frozen server or a half-open connection never gives. @throws NoAnswerError */
export async function withTimeout<T>(timeoutMs: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswerError(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => undefined); // it may fail after the time-out
  }
}
