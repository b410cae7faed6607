import { OWN_SOURCE } from "@penstock/schemas";
import type { Source } from "./define-source.ts";

/** A source with its name and with where its secrets are. */
export interface NamedSource {
  /** As it stands in `POST /webhooks/:source`, in tables and in logs. */
  readonly name: string;
  readonly source: Source;
  /** The environment variable that holds its live secrets, one per line; or, with `_FILE`, the path of a file that does. */
  readonly secretsFrom: string;
  /** The same for its verify tokens; `null` where the source asks for none. */
  readonly verifyTokensFrom: string | null;
  /** The same for the key of its provider's API; `null` where the source asks no API. */
  readonly apiKeyFrom: string | null;
}

/** What `penstock.sources.ts` exports. */
export interface Sources {
  /** In the order in which they were listed. */
  readonly list: readonly NamedSource[];
  /** The source of exactly that name. */
  find(name: string): Source | undefined;
  /** All that is wrong with them, each as a sentence that names the source and never a value. */
  readonly problems: readonly string[];
}

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

/**
 * Declares who may send webhooks: each source under its name, which is its path: `/webhooks/<name>`. One provider can be
 * there several times, e.g. for several workspaces. What is wrong is kept in `problems`, so that all of it is told at once.
 *
 * @example
 * export default defineSources({ buzzbip: buzzbip(), "stripe-eu": stripe({ toleranceSeconds: 300 }) });
 */
export function defineSources(given: Readonly<Record<string, Source>>): Sources {
  const problems: string[] = [];
  const list: NamedSource[] = [];
  for (const [name, source] of Object.entries(given)) {
    if (!NAME.test(name)) {
      problems.push(
        `source ${JSON.stringify(name)}: a name is lower-case letters, digits and hyphens, starts with a letter, 63 at most`,
      );
    }
    if (name === OWN_SOURCE) problems.push(`source ${name}: the name is that of Penstock's own events: take another`);
    if (!isSource(source)) {
      problems.push(`source ${name}: it must be what a provider's function or defineSource() returned`);
      continue;
    }
    problems.push(...source.problems.map((problem) => `source ${name}: ${problem}`));
    list.push(
      Object.freeze({
        name,
        source,
        secretsFrom: source.secretsFrom ?? toVariable(name, "SIGNING_SECRETS"),
        verifyTokensFrom: source.hasVerifyToken ? toVariable(name, "VERIFY_TOKENS") : null,
        apiKeyFrom: source.reconcile ? toVariable(name, "API_KEY") : null,
      }),
    );
  }
  if (list.length === 0 && problems.length === 0) problems.push("no source is listed: nobody could send anything");
  const byName = new Map(list.map(({ name, source }) => [name, source]));
  return Object.freeze({
    list: Object.freeze(list),
    find: (name: string) => byName.get(name),
    problems: Object.freeze(problems),
  });
}

function toVariable(name: string, what: "SIGNING_SECRETS" | "VERIFY_TOKENS" | "API_KEY"): string {
  return `${name.toUpperCase().replaceAll("-", "_")}_${what}`;
}

/** By its shape: another copy of this package may have made it. */
function isSource(value: unknown): value is Source {
  return typeof value === "object" && value !== null && "verify" in value && "check" in value && "problems" in value;
}
