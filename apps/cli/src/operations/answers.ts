import type { ApiError, Client } from "@penstock/client";

/** Asks the admin API. */
export type Call = Client["call"];

/** The most items that it gives at once. */
const PAGE = 200;

/** The first items of a list, or all of it, page by page. */
export async function readPages<Item>(
  limit: number,
  read: (page: { readonly limit: number; readonly cursor?: string }) => Promise<{
    readonly items: readonly Item[];
    readonly next: string | null;
  }>,
  from?: string,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor = from; ;) {
    const page = await read({ limit: Math.min(PAGE, limit - items.length), ...(cursor !== undefined && { cursor }) });
    items.push(...page.items);
    if (page.next === null || items.length >= limit) return items;
    cursor = page.next;
  }
}

/** An answer, or null where the console refused with one of these: expected outcomes are values. */
export async function unless<T>(statuses: readonly number[], answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (statuses.includes((error as Partial<ApiError>).status ?? 0)) return null;
    throw error;
  }
}

/** Times of a filter as they are sent. */
export function withTimes<Filter extends { readonly since?: Date; readonly until?: Date }>({
  since,
  until,
  ...others
}: Filter) {
  return {
    ...others,
    ...(since !== undefined && { since: since.toISOString() }),
    ...(until !== undefined && { until: until.toISOString() }),
  };
}

export const toDate = (time: string): Date => new Date(time);
export const toDateOrNull = (time: string | null): Date | null => (time === null ? null : new Date(time));
