import type { z } from "zod";
import { notifyVariables } from "./notify-config.ts";
import { type Environment, readSecretFiles, secretVariables } from "./secret-files.ts";
import { variables } from "./variables.ts";

/** A variable of Penstock, what it is set to and where that comes from. */
export interface Setting {
  readonly name: string;
  /** As it was written, or the default; a secret is never in it. Null: not set, and there is no default. */
  readonly value: string | null;
  /** `provided`: `npm start` has made it. */
  readonly from: "environment" | "file" | "provided" | "default";
  /** What is wrong with it, in words that follow its name; null: nothing. */
  readonly problem: string | null;
}

const known = { ...variables, ...notifyVariables };
/** Those that name a place, of which the place is told and the password is not. */
const PLACES = new Set(["DATABASE_URL", "QUEUE_URL"]);
const OURS = /^(?:INGEST|INTAKE|WORKER|CONSOLE|RETENTION|NOTIFY|OUTBOUND|PENSTOCK|DEDUPE)_/;
/** Of commands, of `npm start`, and of docker-compose.yml. */
const OTHERS = new Set([
  "PENSTOCK_ACTOR",
  "PENSTOCK_COMMAND",
  "PENSTOCK_HOME",
  "PENSTOCK_SUPERVISED",
  "PENSTOCK_TOKEN",
  "PENSTOCK_URL",
  "PENSTOCK_TAG",
  "PENSTOCK_BIND",
  "PENSTOCK_PORT",
  "PENSTOCK_STOP_GRACE",
  "CONSOLE_BIND",
  "INGEST_HOST_PORT",
]);

/**
 * All variables of Penstock as an environment has them. `sourceSecrets` are those of the sources. `provided` stands for what
 * `npm start` makes where the environment says nothing.
 */
export function readSettings(
  environment: Environment,
  { sourceSecrets = [], provided = {} }: { sourceSecrets?: readonly string[]; provided?: Environment } = {},
): Setting[] {
  const names = Object.keys(known) as (keyof typeof known)[];
  const secrets = new Set([...secretVariables(names), ...sourceSecrets]);
  const { environment: read, problems } = readSecretFiles(environment, [...secrets]);

  const toSetting = (name: string, schema: z.ZodType | null): Setting => {
    const given = read[name] || undefined;
    const text = given ?? provided[name];
    const from =
      given !== undefined
        ? environment[name]
          ? "environment"
          : "file"
        : text !== undefined
          ? "provided"
          : ("default" as const);
    const result = schema?.safeParse(text);
    // That one is missing is told where it is needed: `npm start` makes what the environment does not have.
    const isWrong = text !== undefined && result?.success === false;
    const wrong = isWrong ? (result.error.issues[0]?.message ?? "is wrong") : null;
    const problem = problems.get(name)?.replace(new RegExp(`^${name} ?`), "") ?? wrong;
    return { name, from, problem, value: describeValue(name, text, secrets, result?.data) };
  };
  return [...names.map((name) => toSetting(name, known[name])), ...sourceSecrets.map((name) => toSetting(name, null))];
}

/** Variables that are called as ours are, and that nothing reads: most often a slip of the pen. */
export function findUnknownSettings(environment: Environment, sourceSecrets: readonly string[] = []): string[] {
  const secrets = [...secretVariables(Object.keys(known)), ...sourceSecrets, "PENSTOCK_TOKEN"];
  const all = new Set([...Object.keys(known), ...OTHERS, ...secrets.flatMap((name) => [name, `${name}_FILE`])]);
  return Object.keys(environment).filter((name) => OURS.test(name) && !all.has(name));
}

function describeValue(name: string, text: string | undefined, secrets: ReadonlySet<string>, parsed: unknown) {
  if (text === undefined) return describeDefault(parsed);
  if (!secrets.has(name)) return text;
  if (!PLACES.has(name) || !URL.canParse(text)) return "(set, not shown)";
  const { protocol, hostname, port, pathname } = new URL(text);
  return `${protocol}//${hostname}${port === "" ? "" : `:${port}`}${pathname}`;
}

/** A default as it would be written; null for one that is made of something else. */
function describeDefault(parsed: unknown): string | null {
  if (Array.isArray(parsed)) return parsed.length === 0 ? null : parsed.join(",");
  return typeof parsed === "string" || typeof parsed === "number" ? String(parsed) : null;
}
