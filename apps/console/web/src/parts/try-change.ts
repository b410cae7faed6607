/** A try, as far as two of them are compared. */
export interface Try {
  readonly outcome: string;
  readonly startedAt: string | null;
  readonly endedAt: string;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  readonly worker: string | null;
}

/** A message with the part that differs from the one before. */
export interface TextChange {
  readonly start: string;
  readonly was: string;
  readonly is: string;
  readonly end: string;
}

/** What is different since the try before. */
export interface TryChange {
  /** From the end of the try before. */
  readonly waitedMs: number | null;
  /** Whether both failed, with the same error. */
  readonly sameError: boolean;
  /** Null where it is the same, or one of the two has none. */
  readonly errorClass: { readonly was: string; readonly is: string } | null;
  readonly message: TextChange | null;
  /** Where one took twice as long as the other, and it can be felt. */
  readonly tookMs: { readonly was: number; readonly is: number } | null;
  readonly otherWorker: boolean;
}

const NOTICED_MS = 50;

export function compareTries(before: Try, after: Try): TryChange {
  const both = <T>(was: T | null, is: T | null): { was: T; is: T } | null =>
    was === null || is === null || was === is ? null : { was, is };
  const took = both(tookMs(before), tookMs(after));
  const message = both(before.errorMessage, after.errorMessage);
  const isSlower = took !== null && Math.max(took.was, took.is) >= 2 * Math.min(took.was, took.is);
  return {
    waitedMs: after.startedAt === null ? null : Date.parse(after.startedAt) - Date.parse(before.endedAt),
    sameError:
      after.errorClass !== null && before.errorClass === after.errorClass && before.errorMessage === after.errorMessage,
    errorClass: both(before.errorClass, after.errorClass),
    message: message && differenceOf(message.was, message.is),
    tookMs: took && isSlower && Math.abs(took.was - took.is) >= NOTICED_MS ? took : null,
    otherWorker: both(before.worker, after.worker) !== null,
  };
}

export const tookMs = ({ startedAt, endedAt }: Pick<Try, "startedAt" | "endedAt">): number | null =>
  startedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt);

/** Words that both have at the start and at the end, and what differs between. */
function differenceOf(was: string, is: string): TextChange {
  const [a, b] = [was.split(/(?<=\s)/), is.split(/(?<=\s)/)];
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return {
    start: a.slice(0, start).join(""),
    was: a.slice(start, a.length - end).join(""),
    is: b.slice(start, b.length - end).join(""),
    end: a.slice(a.length - end).join(""),
  };
}
