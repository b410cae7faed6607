import { Problem } from "./problem.ts";

/** Where an event stands: what the lists of events page by. */
interface Position {
  readonly day: string;
  readonly seq: number;
}

const CURSOR = /^(\d{4}-\d\d-\d\d)\.(\d{1,16})$/;

/** Where a page ended, for whoever asks for the next. */
export const printCursor = (last: Position | null): string | null => last && `${last.day}.${last.seq}`;

/** @throws Problem when the cursor is none of ours. */
export function readCursor(cursor: string | undefined): Position | null {
  if (cursor === undefined) return null;
  const [, day, seq] = CURSOR.exec(cursor) ?? [];
  if (day === undefined) throw new Problem(400, "The cursor is not one that this list has given");
  return { day, seq: Number(seq) };
}
