import { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { type Environment, readSecretFiles, secretVariables } from "./secret-files.ts";

/**
 * Parses the variables that a schema names out of the environment and ignores the others. One that can hold a secret can
 * also be given as a file ({@link readSecretFiles}).
 * The schemas of the variables say what to do in words that follow the variable's name, e.g. "must be …".
 *
 * `sourceSecrets` are those of them that hold secrets or verify tokens of sources: "set to nothing" is a mistake to report there, and not
 * the same as "not set". `others` are problems that are told along with its own.
 *
 * @throws {ConfigError} with every problem at once.
 */
export function parseEnvironment<Shape extends z.core.$ZodShape>(
  shape: Shape,
  environment: Environment,
  sourceSecrets: readonly string[] = [],
  others: readonly string[] = [],
): z.infer<z.ZodObject<Shape>> {
  const { environment: resolved, problems } = readSecretFiles(environment, [
    ...secretVariables(Object.keys(shape)),
    ...sourceSecrets,
  ]);
  // Every name is present, if only as undefined: a schema with a default is not run for a key that is missing.
  const input = Object.fromEntries(
    Object.keys(shape).map((name) => {
      const value = resolved[name];
      return [name, value === "" && !sourceSecrets.includes(name) ? undefined : value];
    }),
  );
  const result = z.object(shape).safeParse(input);
  if (result.success && problems.size + others.length === 0) return result.data;
  // What could not be read would be told once more, as missing.
  const issues = (result.error?.issues ?? []).filter(({ path: [name] }) => !problems.has(String(name)));
  throw new ConfigError([
    ...others,
    ...problems.values(),
    ...issues.map(({ path, message }) => `${path.join(".")} ${message}`),
  ]);
}
