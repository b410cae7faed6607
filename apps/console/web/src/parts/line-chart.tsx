import { lazy, Suspense } from "react";

export interface ChartLine {
  readonly label: string;
  readonly tone: "accent" | "dim";
  /** One for each time; null where there is none. */
  readonly values: readonly (number | null)[];
}

export interface LineChartProps {
  /** What is shown, and what it comes to: for those who do not see it. */
  readonly label: string;
  /** In milliseconds since 1970, in order. */
  readonly times: readonly number[];
  readonly lines: readonly ChartLine[];
  readonly format: (value: number) => string;
}

/** Loaded apart: the first view shows all else without it. */
const Plot = lazy(() => import("./line-chart-plot.tsx"));

/** Lines over time. What is pointed at is told below. */
export function LineChart(props: LineChartProps) {
  return (
    <figure role="img" aria-label={props.label} className="h-40">
      <Suspense>
        <Plot {...props} />
      </Suspense>
    </figure>
  );
}
