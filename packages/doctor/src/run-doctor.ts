import type { Setting } from "@penstock/schemas";
import { allChecks } from "./all-checks.ts";
import { type Check, fail, type Finding, type Level, type Patient, warn } from "./check.ts";

/** What all checks have found. */
export interface Diagnosis {
  /** The worst that was found. */
  readonly level: Level;
  readonly parts: readonly { readonly part: string; readonly findings: readonly Finding[] }[];
  readonly settings: readonly Setting[];
}

const CHECK_MS = 10_000;

/** Looks at everything. Never rejects: a check that cannot be done is a finding. */
export async function runDoctor(patient: Patient): Promise<Diagnosis> {
  const away = await patient.store.ping().then(
    () => null,
    (error: unknown) => messageOf(error),
  );
  const found: { part: string; findings: readonly Finding[] }[] = [];
  const leftOut: string[] = [];
  for (const check of allChecks) {
    if (check.asksPostgres && away !== null) leftOut.push(check.part);
    // One after another: a database in trouble is not to be asked for everything at once.
    else found.push({ part: check.part, findings: await runCheck(check, patient) });
  }
  if (away !== null) found.splice(1, 0, { part: "Postgres", findings: postgresAway(away, leftOut) });
  const parts = [...Map.groupBy(found, ({ part }) => part)].map(([part, of]) => ({
    part,
    findings: of.flatMap(({ findings }) => findings),
  }));
  return { level: worst(parts.flatMap(({ findings }) => findings)), parts, settings: patient.settings };
}

function postgresAway(reason: string, leftOut: readonly string[]): Finding[] {
  const others = [...new Set(leftOut)].filter((part) => part !== "Postgres");
  return [
    fail(
      "postgres.reachable",
      `${reason}. Without Postgres senders get 503, and workers wait`,
      "Start it, or correct DATABASE_URL. What is sent meanwhile is kept where INTAKE_REFUSED_DIR is set (docs/outages.md).",
    ),
    warn("postgres.left-out", `not looked at without Postgres: ${others.join(", ")}`, "Ask again once it is back."),
  ];
}

async function runCheck(check: Check, patient: Patient): Promise<readonly Finding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_MS / 1_000} s`)), CHECK_MS);
  });
  try {
    return await Promise.race([check.run(patient), late]);
  } catch (error) {
    const id = `${check.part.toLowerCase()}.check`;
    return [
      warn(id, `this could not be looked at: ${messageOf(error)}`, "Look at the other lines first, then ask again."),
    ];
  } finally {
    clearTimeout(timer);
  }
}

function worst(findings: readonly Finding[]): Level {
  const levels = new Set(findings.map(({ level }) => level));
  return levels.has("fail") ? "fail" : levels.has("warn") ? "warn" : "ok";
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
