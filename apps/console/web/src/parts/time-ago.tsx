import { useSyncExternalStore } from "react";
import { localeOf, useLanguage } from "../app/language.tsx";
import { wallClockMs } from "../app/wall-clock.ts";

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;

let now = wallClockMs();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

// One clock for all times that a page shows.
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = wallClockMs();
    for (const each of listeners) each();
  }, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** How long ago something was, and exactly when on hover. */
export function TimeAgo({ time }: { time: string }) {
  const { language } = useLanguage();
  const at = useSyncExternalStore(subscribe, () => now);
  const date = new Date(time);
  const seconds = Math.round((date.getTime() - at) / 1_000);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  const text = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" }).format(
    Math.min(0, Math.round(seconds / size)) || Math.round(seconds / size),
    unit,
  );
  return (
    <time dateTime={time} title={date.toLocaleString(localeOf(language))} className="whitespace-nowrap">
      {text}
    </time>
  );
}
