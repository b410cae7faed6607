import { openSourceSecret, parseMasterKeys, SealError } from "@penstock/dispatch/seal";
import { listEndpoints, readEndpointSecrets, readLiveSecrets } from "@penstock/store";
import { type Check, fail, ok } from "../check.ts";
import { plural, some } from "../words.ts";

/** Whether the secrets in the database can be opened by the master key at hand. */
export const masterKey: Check = {
  part: "Secrets",
  asksPostgres: true,
  async run({ store, masterKeys }) {
    const kept = (await readLiveSecrets(store)).flatMap(({ sealed, ended, ...row }) =>
      sealed === null || ended ? [] : [{ ...row, sealed }],
    );
    const endpoints = await listEndpoints(store);
    const all = kept.length + endpoints.length;
    if (all === 0) return [ok("secrets.master-key", "no secret is kept in the database")];
    const sealed = `${plural(all, "secret")} in the database ${all === 1 ? "is" : "are"} sealed`;
    if (masterKeys === null) {
      return [
        fail(
          "secrets.master-key",
          `${sealed}, and PENSTOCK_MASTER_KEY is not set: none can be opened`,
          "Set it to the key that they were sealed with, for ingest, workers and console.",
        ),
      ];
    }
    const keyring = parseMasterKeys(masterKeys);
    const shut: string[] = [];
    for (const secret of kept)
      if (!opens(() => openSourceSecret(keyring, secret))) shut.push(`of source ${secret.source}`);
    for (const { id } of endpoints) {
      const [newest] = await readEndpointSecrets(store, id);
      if (newest !== undefined && !opens(() => keyring.open(newest, id))) shut.push(`of endpoint ${id}`);
    }
    if (shut.length === 0)
      return [ok("secrets.master-key", `${sealed}, and PENSTOCK_MASTER_KEY opens ${all === 1 ? "it" : "all"}`)];
    return [
      fail(
        "secrets.master-key",
        `PENSTOCK_MASTER_KEY does not open ${plural(shut.length, "secret")} of ${all} (${some(shut)}): what is signed with them is refused, or not delivered`,
        "Put the key that they were sealed with behind the new one, with a comma; without it, give new secrets.",
      ),
    ];
  },
};

function opens(open: () => string): boolean {
  try {
    open();
    return true;
  } catch (error) {
    if (error instanceof SealError) return false;
    throw error;
  }
}
