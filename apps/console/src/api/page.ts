import { Problem } from "./problem.ts";

/** Where an event stands: what the lists of events page by. */
interface Position {
  readonly day: string;
  readonly seq: number;
}

const CURSOR = /^(\d{4}-\d\d-\d\d)\.(\d{1,16})$/;

/**
 * A page of what is listed from the newest to the oldest event: reads one more than is asked for, to know whether there is a
 * next page. @throws Problem when the cursor is none of ours.
 */
export async function pageBefore<Item extends Position>(
  cursor: string | undefined,
  limit: number,
  read: (before: Position | undefined, limit: number) => Promise<readonly Item[]>,
): Promise<{ items: Item[]; next: string | null }> {
  const items = await read(readCursor(cursor), limit + 1);
  const page = items.slice(0, limit);
  const last = page.at(-1);
  return { items: page, next: items.length > limit && last ? `${last.day}.${last.seq}` : null };
}

function readCursor(cursor: string | undefined): Position | undefined {
  if (cursor === undefined) return undefined;
  const [, day, seq] = CURSOR.exec(cursor) ?? [];
  if (day === undefined) throw new Problem(400, "The cursor is not one that this list has given");
  return { day, seq: Number(seq) };
}
