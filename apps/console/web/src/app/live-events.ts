import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useEffect, useRef } from "react";
import { api } from "./api.ts";

/** Events that were processed at the same time, the oldest first. */
export type LiveEvents = RouteAnswer<AdminRoutes["GET /events/stream"]>;

/** Between two calls: however many come, a page is not drawn more often. */
const EVERY_MS = 1_000;

/**
 * Tells of events as they are processed. The browser connects again by itself after the connection was lost, and goes on
 * where it was.
 */
export function useLiveEvents(onEvents: (events: LiveEvents) => void, enabled = true): void {
  const latest = useRef(onEvents);
  useEffect(() => {
    latest.current = onEvents;
  });
  useEffect(() => {
    if (!enabled) return undefined;
    const source = new EventSource(api.href("GET /events/stream"));
    let gathered: LiveEvents | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let toldAt = -EVERY_MS;
    const tell = (): void => {
      timer = undefined;
      toldAt = performance.now();
      if (gathered !== null) latest.current(gathered);
      gathered = null;
    };
    source.addEventListener("events", ({ data }: MessageEvent<string>) => {
      const { items, left } = JSON.parse(data) as LiveEvents;
      gathered = { items: [...(gathered?.items ?? []), ...items], left: (gathered?.left ?? 0) + left };
      timer ??= setTimeout(tell, Math.max(0, toldAt + EVERY_MS - performance.now()));
    });
    return () => {
      source.close();
      clearTimeout(timer);
    };
  }, [enabled]);
}
