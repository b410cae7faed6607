import { setTimeout as sleep } from "node:timers/promises";

/** Resolves when `/readyz` of an ingest answers 200; rejects with the signal's reason when that is aborted first. */
export async function waitUntilReady(ingestUrl: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const answer = await fetch(`${ingestUrl}/readyz`, {
        headers: { connection: "close" },
        signal: AbortSignal.any([signal, AbortSignal.timeout(3_000)]),
      });
      await answer.arrayBuffer();
      if (answer.status === 200) return;
    } catch {
      // It does not listen yet.
    }
    await sleep(50, undefined, { signal });
  }
}

/** What the internal `/readyz` of the services say of their queue; null where all is well, or none answers. */
export async function findQueueTrouble(internalUrls: readonly string[]): Promise<string | null> {
  const troubles = await Promise.all(
    internalUrls.map(async (url) => {
      const answer = await fetch(`${url}/readyz`, {
        headers: { connection: "close" },
        signal: AbortSignal.timeout(5_000),
      });
      const { checks } = (await answer.json()) as { checks?: { queue?: string } };
      return checks?.queue ?? "ok";
    }),
  ).catch(() => []);
  return troubles.find((trouble) => trouble !== "ok") ?? null;
}
