import { localeOf, useLanguage } from "../app/language.tsx";

const HEIGHT = 48;

/** Counts over time as bars, one beside the other, the newest at the right. `label` says what they count, for those who do not see them. */
export function Bars({
  label,
  bars,
  tone = "accent",
}: {
  label: string;
  bars: readonly { readonly at: string; readonly count: number }[];
  tone?: "accent" | "bad";
}) {
  const { language } = useLanguage();
  const most = Math.max(1, ...bars.map(({ count }) => count));
  const total = bars.reduce((sum, { count }) => sum + count, 0);
  const name = `${label}: ${total.toLocaleString(language)}`;
  return (
    <svg
      role="img"
      aria-label={name}
      viewBox={`0 0 ${bars.length * 4} ${HEIGHT}`}
      preserveAspectRatio="none"
      className={`h-12 w-full ${tone === "bad" ? "text-bad" : "text-accent"}`}
    >
      <line x1="0" x2={bars.length * 4} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} className="stroke-line" />
      {bars.map(({ at, count }, index) => {
        const height = count === 0 ? 0 : Math.max(2, (count / most) * (HEIGHT - 2));
        return (
          <rect key={at} x={index * 4 + 0.5} y={HEIGHT - height} width={3} height={height} fill="currentColor">
            <title>{`${new Date(at).toLocaleString(localeOf(language))}: ${count.toLocaleString(language)}`}</title>
          </rect>
        );
      })}
    </svg>
  );
}

/** The hours of a time until now, those in which nothing was among them. */
export function fillHours(
  hours: readonly { readonly at: string; readonly count: number }[],
  length: number,
  nowMs: number,
): { at: string; count: number }[] {
  const hourMs = 3_600_000;
  const last = Math.floor(nowMs / hourMs) * hourMs;
  const counts = new Map(hours.map(({ at, count }) => [Date.parse(at), count]));
  return Array.from({ length }, (_, nth) => {
    const at = last - (length - 1 - nth) * hourMs;
    return { at: new Date(at).toISOString(), count: counts.get(at) ?? 0 };
  });
}
