import { readSecretFiles } from "@penstock/schemas";

// Not `instanceof`: packages may be loaded twice.
const VARIABLE = Symbol.for("@penstock/handler-sdk/env");

/** An option that is in the environment: see {@link env}. It holds the variable's name and not its value. */
export interface FromEnvironment {
  readonly [VARIABLE]: string;
}

/**
 * Says that an option of a handler is in an environment variable, or in the file that `<name>_FILE` names: the place for
 * secrets. It is read when the handler is made, by `parseOptions`, which tells by name what is missing.
 *
 * @example
 * export default defineConfig({ handlers: [slackAlert({ webhookUrl: env("SLACK_WEBHOOK_URL") })] });
 */
export function env(name: string): FromEnvironment {
  return Object.freeze({ [VARIABLE]: name });
}

/** The variable that an option is in; null when it is given as it is. */
export function variableOf(option: unknown): string | null {
  return typeof option === "object" && option !== null && VARIABLE in option ? String(option[VARIABLE]) : null;
}

/** The value of a variable, or why there is none: in a sentence, never with the value. */
export function readVariable(name: string): { ok: true; value: string } | { ok: false; problem: string } {
  // eslint-disable-next-line no-restricted-properties -- penstock.config.ts says which, and has nothing else to read it with
  const { environment, problems } = readSecretFiles(process.env, [name]);
  const problem = problems.get(name);
  const value = environment[name];
  if (problem === undefined && value) return { ok: true, value };
  return { ok: false, problem: problem ?? `${name} is not set: give it, or ${name}_FILE, the path of a file with it` };
}
