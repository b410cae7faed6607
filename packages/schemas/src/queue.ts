import { z } from "zod";

/** The queue whose jobs point at batches. */
export const EVENTS_QUEUE = "events";

/**
 * The payload of a job on {@link EVENTS_QUEUE}: a pointer to batches by their numbers, never the events, since a queue may
 * lose its jobs and keeps them in clear text. `v` is the version of this shape.
 *
 * @example
 * const { batches } = batchJobSchema.parse(job.data);
 */
export const batchJobSchema = z.object({ v: z.literal(1), batches: z.array(z.int().positive()).min(1) });

/** A pointer to batches. */
export type BatchJob = z.infer<typeof batchJobSchema>;

/** The queue whose jobs point at deliveries to one effect handler. */
export function deliveriesQueue(handler: string): string {
  return `deliveries-${handler}`;
}

/**
 * The payload of a job on a {@link deliveriesQueue}: a pointer to a delivery that was due when the job was added. Whoever
 * takes it claims the delivery in Postgres, or finds that it is not to be run any more.
 */
export const deliveryJobSchema = z.object({
  v: z.literal(1),
  day: z.iso.date(),
  seq: z.int().positive(),
  subscriber: z.string(),
  /** Whether its worker vanished before, so that it has to run alone. */
  interrupted: z.boolean(),
});

/** A pointer to one delivery. */
export type DeliveryJob = z.infer<typeof deliveryJobSchema>;

/** The queue whose jobs point at endpoints for which deliveries are due. */
export const ENDPOINTS_QUEUE = "endpoints";

/** The payload of a job on {@link ENDPOINTS_QUEUE}: whoever takes it runs what is due for that endpoint. */
export const endpointJobSchema = z.object({ v: z.literal(1), endpoint: z.string() });
