import { Problem } from "./problem.ts";

/**
 * A page of what is listed from the newest id to the oldest: reads one more than is asked for, to know whether there is a next
 * page. @throws Problem when the cursor is none of ours.
 */
export async function pageById<Item extends { readonly id: number }>(
  cursor: string | undefined,
  limit: number,
  read: (page: { readonly before?: number; readonly limit: number }) => Promise<readonly Item[]>,
): Promise<{ items: Item[]; next: string | null }> {
  if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) {
    throw new Problem(400, "The cursor is not one that this list has given");
  }
  const items = await read({ ...(cursor !== undefined && { before: Number(cursor) }), limit: limit + 1 });
  const page = items.slice(0, limit);
  const last = page.at(-1);
  return { items: page, next: items.length > limit && last ? String(last.id) : null };
}
