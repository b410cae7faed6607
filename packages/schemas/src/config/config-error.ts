/**
 * Thrown when the environment does not make a configuration. `problems` holds every problem at once, each as a sentence
 * that names the variable and says what to do, and never its value, which may be a secret.
 *
 * @example
 * catch (error) { if (error instanceof ConfigError) console.error(error.message); }
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "CONFIG";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super(`The configuration has ${count}:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
    this.problems = Object.freeze([...problems]);
  }
}
