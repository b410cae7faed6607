import { z } from "zod";

/** ISO 8601. */
export const time = z.iso.datetime({ offset: true });

/** A whole number in a query string. */
const wholeNumber = z.coerce.number().int();

/** Where to go on reading, as the page before said; and how much of it. */
export const paging = {
  cursor: z.string().max(200).optional().describe("`next` of the page before"),
  limit: wholeNumber.min(1).max(200).default(50).describe("the most items of a page"),
};

/** A page of a list: `next` is the cursor of the page after it, null on the last. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), next: z.string().nullable() });
