import { z } from "zod";
import { ConfigError } from "./config-error.ts";

/** The environment as `process.env` gives it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables for which "set to nothing" is a mistake to report, and not the same as "not set". */
const EMPTY_IS_A_VALUE: ReadonlySet<string> = new Set(["BUZZBIP_SIGNING_SECRETS"]);

/**
 * Parses the variables that a schema names out of the environment and ignores the others.
 * The schemas of the variables say what to do in words that follow the variable's name, e.g. "must be …".
 *
 * @throws {ConfigError} with every problem at once.
 */
export function parseEnvironment<Shape extends z.core.$ZodShape>(
  shape: Shape,
  environment: Environment,
): z.infer<z.ZodObject<Shape>> {
  // Every name is present, if only as undefined: a schema with a default is not run for a key that is missing.
  const input = Object.fromEntries(
    Object.keys(shape).map((name) => {
      const value = environment[name];
      return [name, value === "" && !EMPTY_IS_A_VALUE.has(name) ? undefined : value];
    }),
  );
  const result = z.object(shape).safeParse(input);
  if (!result.success) {
    throw new ConfigError(result.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`));
  }
  return result.data;
}
