import { isUrlTemplate } from "@penstock/handler-sdk";
import { z } from "zod";

const whole = z.int("must be a whole number of at least 1").min(1, "must be a whole number of at least 1");
const headerName = z.string().regex(/^[!#$%&'*+.^_`|~\w-]+$/, "must have names of HTTP headers");
const headerValue = z.string("must be text or env(…)").regex(/^[\t\x20-\x7e\x80-\xff]+$/, "cannot be sent in a header");

export const optionsSchema = z.strictObject({
  url: z
    .string("is missing: give the URL of a contact")
    .refine(
      (url) => url.includes("{contactId}") && isUrlTemplate(url, ["source", "contactId"]),
      "must be an http or https URL with {contactId} in it and no user or password",
    ),
  headers: z.record(headerName, headerValue).default({}),
  method: z.enum(["PUT", "PATCH", "POST"], "must be PUT, PATCH or POST").default("PUT"),
  toRecord: z.function().optional(),
  order: z.enum(["newest-wins", "strict"], 'must be "newest-wins" or "strict"').default("newest-wins"),
  erase: z.literal("DELETE", 'must be "DELETE" or null').nullable().default("DELETE"),
  rateLimit: z.strictObject({ max: whole, perMs: whole }, "needs `max` and `perMs`").default({ max: 10, perMs: 1_000 }),
  timeoutMs: whole.max(600_000, "must be 600000 at most").default(10_000),
  name: z.string("must be text").default("contact-sync"),
});
