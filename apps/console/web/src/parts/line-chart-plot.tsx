import { useEffect, useRef } from "react";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { defineTexts, localeOf, useLanguage, useTexts } from "../app/language.tsx";
import type { LineChartProps } from "./line-chart.tsx";

const texts = defineTexts({ en: { time: "At" }, it: { time: "Alle" } });

/** A canvas knows no CSS variables. Read at each drawing, so that it follows the theme. */
function colourOf(variable: "accent" | "dim" | "line"): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${variable})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const axis = {
  stroke: () => colourOf("dim"),
  grid: { stroke: () => colourOf("line"), width: 1 },
  ticks: { show: false },
  font: "11px system-ui, sans-serif",
};

/** The plot itself, made by uPlot: loaded apart from the page. */
export default function LineChartPlot({ times, lines, format }: LineChartProps) {
  const { language } = useLanguage();
  const timeName = useTexts(texts)("time");
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot>(null);
  const data: UPlot.AlignedData = [times.map((time) => time / 1_000), ...lines.map(({ values }) => [...values])];
  const latest = useRef({ data, format });
  latest.current = { data, format };
  const names = lines.map(({ label }) => label).join("\n");
  const tones = lines.map(({ tone }) => tone).join();

  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const clock = new Intl.DateTimeFormat(localeOf(language), { hour: "2-digit", minute: "2-digit" });
    const time = (seconds: number): string => clock.format(seconds * 1_000);
    const write = (value: number | null | undefined): string => (value == null ? "–" : latest.current.format(value));
    const sizeOf = () => ({ width: element.clientWidth, height: element.clientHeight - 24 });
    const made = new UPlot(
      {
        ...sizeOf(),
        cursor: { y: false, drag: { x: false, y: false } },
        legend: { live: true, markers: { width: 2 } },
        scales: { y: { range: (_, __, most) => [0, (most || 1) * 1.1] } },
        axes: [
          { ...axis, size: 24, values: (_, at) => at.map(time) },
          { ...axis, size: 56, values: (_, at) => at.map(write) },
        ],
        series: [
          { label: timeName, value: (_, at: number | null) => (at === null ? "–" : time(at)) },
          ...names.split("\n").map((label, nth) => ({
            label,
            stroke: () => colourOf(tones.split(",")[nth] === "dim" ? "dim" : "accent"),
            width: 2,
            points: { show: true, size: 4 },
            value: (_: UPlot, value: number | null) => write(value),
          })),
        ],
      },
      latest.current.data,
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize(sizeOf()));
    resized.observe(element);
    const redraw = (): void => made.redraw(false, true);
    const themed = new MutationObserver(redraw);
    themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", redraw);
    return () => {
      resized.disconnect();
      themed.disconnect();
      system.removeEventListener("change", redraw);
      made.destroy();
      plot.current = null;
    };
  }, [language, names, timeName, tones]);

  useEffect(() => plot.current?.setData(data));

  return <div ref={host} className="h-full" />;
}
