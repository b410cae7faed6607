import { type Check, fail, type Finding, ok, warn } from "../check.ts";
import { plural } from "../words.ts";

export const settings: Check = {
  part: "Settings",
  asksPostgres: false,
  run({ settings: all, unknownSettings, version }) {
    const set = all.filter(({ from }) => from !== "default").length;
    const findings: Finding[] = [
      ok("settings.version", `Penstock ${version} on Node ${process.versions.node}`),
      ...all.flatMap(({ name, problem }) =>
        problem === null
          ? []
          : [fail(`settings.${name}`, `${name} ${problem}`, "Correct it: the services do not start with it.")],
      ),
      ...unknownSettings.map((name) =>
        warn(
          `settings.${name}`,
          `${name} is set, and nothing reads it`,
          "Look whether its name is misspelt (README, Configuration).",
        ),
      ),
    ];
    if (findings.length === 1)
      findings.push(ok("settings.values", `${plural(set, "variable")} set, ${all.length - set} at their defaults`));
    return Promise.resolve(findings);
  },
};
