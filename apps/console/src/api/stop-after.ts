/** How long one request changes deliveries; what is left then is told. */
const CHANGE_MS = 10_000;

/** Aborted when the caller has gone, or the time for one request is over. */
export const stopAfter = (gone: AbortSignal): AbortSignal => AbortSignal.any([gone, AbortSignal.timeout(CHANGE_MS)]);
