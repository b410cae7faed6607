import { z } from "zod";

/** The queue whose jobs point at intake batches. */
export const EVENTS_QUEUE = "events";

/**
 * The payload of a job on {@link EVENTS_QUEUE}: a pointer to the pending events of one intake batch, never the events,
 * since a queue may lose its jobs and keeps them in clear text. `v` is the version of this shape.
 *
 * @example
 * const { batchId } = batchJobSchema.parse(job.data);
 */
export const batchJobSchema = z.object({ v: z.literal(1), batchId: z.uuid() });

/** A pointer to one intake batch. */
export type BatchJob = z.infer<typeof batchJobSchema>;
