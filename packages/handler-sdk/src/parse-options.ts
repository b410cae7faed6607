import { readVariable, variableOf } from "./env.ts";
import { HandlerDefinitionError } from "./errors.ts";

/** What checks options: a schema of zod's is one. */
export interface OptionsSchema<Options> {
  safeParse(
    given: unknown,
  ):
    | { readonly success: true; readonly data: Options }
    | { readonly success: false; readonly error: { readonly issues: readonly OptionsIssue[] } };
}

interface OptionsIssue {
  readonly path: readonly PropertyKey[];
  /** In words that follow the option's name, e.g. "must be …". */
  readonly message: string;
}

/**
 * Checks the options of a handler that is a function of them, and reads those that are in the environment ({@link env}).
 *
 * @throws HandlerDefinitionError with every problem at once, each by the name of its option and of its variable, and
 *   none with a value, which may be a secret.
 * @example
 * const { url } = parseOptions("notify", z.strictObject({ url: z.url("must be a URL") }), options);
 */
export function parseOptions<Options>(handler: string, schema: OptionsSchema<Options>, given: object): Options {
  const problems: string[] = [];
  /** By option: the variable that it is in, and whether that could be read. */
  const variables = new Map<string, { readonly variable: string; readonly read: boolean }>();
  const resolve = (value: unknown, path: string): unknown => {
    const variable = variableOf(value);
    if (variable === null) {
      if (!isPlainObject(value)) return value;
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [key, resolve(inner, path === "" ? key : `${path}.${key}`)]),
      );
    }
    const reading = readVariable(variable);
    variables.set(path, { variable, read: reading.ok });
    if (reading.ok) return reading.value;
    problems.push(`\`${path}\`: ${reading.problem}`);
    return undefined;
  };
  const result = schema.safeParse(resolve(given, ""));
  if (result.success && problems.length === 0) return result.data;
  for (const { path, message } of result.success ? [] : result.error.issues) {
    const option = path.map(String).join(".");
    const found = variables.get(option);
    if (found?.read === false) continue; // told above
    const where = found === undefined ? "" : ` (${found.variable})`;
    problems.push(option === "" ? message : `\`${option}\`${where} ${message}`);
  }
  throw new HandlerDefinitionError(`handler ${JSON.stringify(handler)}: ${problems.join("; ")}`);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
