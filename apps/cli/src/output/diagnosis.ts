import type { Diagnosis } from "@penstock/doctor";
import { formatColumns } from "./columns.ts";
import { printable } from "./printable.ts";

const SIGNS = { ok: "ok  ", warn: "WARN", fail: "FAIL" } as const;

/** What was found, part by part: what is wrong stands first in its part, and what to do below it. */
export function formatDiagnosis(
  { parts, settings }: Diagnosis,
  options: { readonly settings: boolean; readonly penstock: string },
): string {
  const all = parts.flatMap(({ findings }) => findings);
  const count = (level: keyof typeof SIGNS): number => all.filter((finding) => finding.level === level).length;
  const [fails, warns] = [count("fail"), count("warn")];
  const verdict =
    fails + warns === 0
      ? "All is well."
      : `${fails === 0 ? "Nothing fails" : `${fails} ${fails === 1 ? "thing fails" : "things fail"}`}, ${warns} to look at.`;
  const set = settings.filter(({ from }) => options.settings || from !== "default");
  const rows = set.map(({ name, value, from }) => [name, printable(value ?? "(not set)"), from]);
  return [
    ...parts.map(({ part, findings }) =>
      [
        part,
        ...findings
          .toSorted((a, b) => rank(b.level) - rank(a.level))
          .flatMap(({ level, says, todo }) => [
            `  ${SIGNS[level]}  ${printable(says)}`,
            ...(todo === null ? [] : [`        → ${printable(todo)}`]),
          ]),
      ].join("\n"),
    ),
    ...(rows.length === 0 ? [] : [formatColumns([["SETTING", "VALUE", "FROM"], ...rows])]),
    ...(options.settings ? [] : [`The other settings have their defaults: ${options.penstock} doctor --settings`]),
    verdict,
  ].join("\n\n");
}

const rank = (level: keyof typeof SIGNS): number => Object.keys(SIGNS).indexOf(level);
