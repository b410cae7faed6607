import { fingerprintOf, type Keyring, openSourceSecret, SealError } from "@penstock/dispatch/seal";
import type { IssueKind } from "@penstock/schemas";
import type { NamedSource } from "@penstock/sources";
import { readLiveSecrets, type Store } from "@penstock/store";
import { Problem } from "./api/problem.ts";

/** What the console knows of sources. */
export interface SourceParts {
  /** Those of penstock.sources.ts. */
  readonly list: readonly NamedSource[];
  /** The secrets that stand in the console's environment, by name: none where ingest alone has them. */
  readonly secrets: Readonly<Record<string, readonly string[]>>;
  /** Where ingest is reached, without a slash at the end. */
  readonly ingestUrl: string;
}

/** The source of this name. @throws Problem when there is none. */
export function findSource({ list }: SourceParts, name: string): NamedSource {
  const found = list.find((source) => source.name === name);
  if (found !== undefined) return found;
  throw new Problem(404, "There is no source of this name", { detail: "penstock.sources.ts lists them." });
}

/** What the source that an issue is about says of where to look; null: it is about something else, or nothing is known. */
export function findAdvice(
  { list }: SourceParts,
  { kind, subject }: { readonly kind: IssueKind; readonly subject: string },
): string | null {
  if (kind !== "silent-source") return null;
  return list.find(({ name }) => name === subject)?.source.whenSilent ?? null;
}

/** A secret of the source that counts now and is known here, the newest first; null: none is. */
export async function findLiveSecret(
  store: Store,
  keyring: Keyring,
  { secrets }: SourceParts,
  name: string,
): Promise<string | null> {
  const rows = (await readLiveSecrets(store)).filter(({ source }) => source === name);
  const ended = new Set(rows.filter((row) => row.ended).map(({ fingerprint }) => fingerprint));
  for (const { source, fingerprint, sealed } of rows) {
    if (sealed === null || ended.has(fingerprint)) continue;
    try {
      return openSourceSecret(keyring, { source, fingerprint, sealed });
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
    }
  }
  return (secrets[name] ?? []).find((secret) => !ended.has(fingerprintOf(secret, name))) ?? null;
}
