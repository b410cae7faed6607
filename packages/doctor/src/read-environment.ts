import { type Environment, findUnknownSettings, readSettings } from "@penstock/schemas";
import type { Patient } from "./check.ts";

/** What a process is told by its environment, for the checks. `provided`: what `npm start` makes where it says nothing. */
export function readEnvironment(
  environment: Environment,
  { sourceSecrets, provided = {} }: { readonly sourceSecrets: readonly string[]; readonly provided?: Environment },
): Pick<Patient, "settings" | "unknownSettings" | "exporters" | "refusedFolder"> {
  const isOff = environment["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true";
  const wanted = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  ];
  const urls = wanted.flatMap((name) => environment[name] || []);
  return {
    settings: readSettings(environment, { sourceSecrets, provided }),
    unknownSettings: findUnknownSettings(environment, sourceSecrets),
    refusedFolder: environment["INTAKE_REFUSED_DIR"] || (provided["INTAKE_REFUSED_DIR"] ?? null),
    exporters: isOff ? [] : [...new Set(urls)],
  };
}
