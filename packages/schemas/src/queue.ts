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
