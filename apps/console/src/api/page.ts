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

/**
 * A page of what is listed from the newest to the oldest event: reads one more than is asked for, to know whether there is a
 * next page. @throws Problem when the cursor is none of ours.
 */
export async function pageBefore<Item extends Position>(
  cursor: string | undefined,
  limit: number,
  read: (before: Position | undefined, limit: number) => Promise<readonly Item[]>,
): Promise<{ items: Item[]; next: string | null }> {
  const items = await read(readCursor(cursor) ?? undefined, limit + 1);
  const page = items.slice(0, limit);
  return { items: page, next: items.length > limit ? printCursor(page.at(-1) ?? null) : null };
}
