import { fingerprintOf, openSourceSecret, parseMasterKeys, SealError } from "@penstock/dispatch";
import { readLiveSecrets, type Store } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { findOutboundConfig } from "../outbound.ts";

/** What the database knows of the secrets of sources. */
export interface DatabaseSecrets {
  /** The secrets of a source that it keeps and that count now, the newest first; and of those given, the others that count. */
  withGiven(source: string, given: readonly string[]): { readonly kept: string[]; readonly given: string[] };
}

/** Reads the secrets that ingest has from the database. What this master key does not open, or no key is there for, is left out. */
export async function readDatabaseSecrets(ctx: CliContext, store: Store): Promise<DatabaseSecrets> {
  const { masterKeys } = await findOutboundConfig(ctx);
  const keyring = masterKeys === null ? null : parseMasterKeys(masterKeys);
  const rows = await readLiveSecrets(store);
  return {
    withGiven(name, given) {
      const own = rows.filter(({ source }) => source === name);
      const ended = new Set(own.filter((row) => row.ended).map(({ fingerprint }) => fingerprint));
      const kept = own.flatMap(({ sealed, ...row }) => {
        if (keyring === null || sealed === null || row.ended) return [];
        try {
          return [openSourceSecret(keyring, { ...row, sealed })];
        } catch (error) {
          if (error instanceof SealError) return [];
          throw error;
        }
      });
      return {
        kept,
        given: given.filter((secret) => !kept.includes(secret) && !ended.has(fingerprintOf(secret, name))),
      };
    },
  };
}
