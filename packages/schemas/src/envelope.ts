import { z } from "zod";
import { ISO_TIME, MAX_TIME_LENGTH, parseCreatedAt } from "./time.ts";

/**
 * What every BuzzBip event looks like from outside: `id`, `type`, `createdAt` and the object `data`.
 * Unknown fields are kept, here and in `data`; `createdAt` stays the string that was sent.
 * A key named `__proto__` is the one exception: it is dropped, since copying it would change the object's prototype.
 *
 * @example
 * const { type, createdAt } = envelopeSchema.parse(JSON.parse(body));
 */
export const envelopeSchema = z.looseObject({
  id: z.string().min(1),
  type: z.string().min(1),
  createdAt: z
    .string()
    .max(MAX_TIME_LENGTH, { abort: true })
    .regex(ISO_TIME, { error: "must be a time in ISO 8601, with a zone", abort: true })
    .refine((text) => parseCreatedAt(text) !== null, "must be a time that exists, in the years 1 to 9999"),
  data: z.looseObject({}),
});

/** An event of which only the envelope has been checked: `data` is any object. */
export type Envelope = z.infer<typeof envelopeSchema>;
