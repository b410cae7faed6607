import { type Language, localeOf } from "../app/language.tsx";

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** `812 B`, `3.4 MiB`. */
export function formatBytes(bytes: number, language: Language): string {
  const power = Math.min(BYTES.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1_024 ** power;
  const digits = value < 10 && power > 0 ? 1 : 0;
  return `${value.toLocaleString(language, { maximumFractionDigits: digits })} ${BYTES[power]}`;
}

/** `38 ms`, `1.5 s`, `4 min`, `9 d`; a dash where there is none. */
export function formatMs(ms: number | null, language: Language): string {
  if (ms === null) return "–";
  const write = (value: number, digits: number): string =>
    value.toLocaleString(language, { maximumFractionDigits: digits });
  if (ms < 1_000) return `${write(ms, ms < 10 ? 1 : 0)} ms`;
  if (ms < 90_000) return `${write(ms / 1_000, ms < 10_000 ? 1 : 0)} s`;
  if (ms < 5_400_000) return `${write(ms / 60_000, ms < 600_000 ? 1 : 0)} min`;
  return ms < 172_800_000 ? `${write(ms / 3_600_000, 1)} h` : `${write(ms / 86_400_000, 1)} d`;
}

/** A number that is counted up to a limit: `1,000+`. */
export const formatCount = (count: number, limit: number, language: Language): string =>
  count >= limit ? `${limit.toLocaleString(language)}+` : count.toLocaleString(language);

/** A day and a time of day, as the language writes them. */
export const timeOf = (time: string, language: Language): string =>
  new Date(time).toLocaleString(localeOf(language), { dateStyle: "medium", timeStyle: "short" });
