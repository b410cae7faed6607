import { fingerprintOf, openSourceSecret, parseMasterKeys, SealError } from "@penstock/dispatch/seal";
import type { IngestConfig } from "@penstock/schemas";
import {
  type LiveSecretRow,
  readLiveSecrets,
  recordSecretUses,
  recordSourceActivity,
  registerEnvironmentSecrets,
  type Store,
} from "@penstock/store/intake";
import { type Logger, onceInAWhile } from "@penstock/telemetry";
import type { ConfiguredSource, LiveSecrets } from "./configured-source.ts";

/** A change of a secret has to be in force within 5 seconds. */
const EVERY_MS = 2_000;
const REGISTER_EVERY_MS = 60_000;
/** Else nobody could tell a source that is silent from an ingest that is away. */
const SAY_LISTENING_EVERY_MS = 60_000;

/** A secret of the environment, by what the database knows it by. */
interface EnvironmentSecret {
  readonly source: string;
  readonly fingerprint: string;
  readonly secret: string;
}

/** Keeps the secrets of sources up to date. */
export interface SecretUpdates {
  /** Reads what the database has, now. Where that fails, what was read before counts on; resolves to whether it was read. */
  update(): Promise<boolean>;
  /** Does so again and again until the signal is aborted, and tells which secrets were used. */
  start(signal: AbortSignal): void;
}

/**
 * Gives each source the secrets of the database beside those of the environment, the newest first. Without a master key those
 * of the database are left out, which is said; with Postgres away those that were read last count on.
 */
export function createSecretUpdates(
  config: Pick<IngestConfig, "secrets" | "masterKeys">,
  sources: ReadonlyMap<string, ConfiguredSource>,
  { store, log }: { readonly store: Store; readonly log: Logger },
): SecretUpdates {
  const keyring = config.masterKeys === null ? null : parseMasterKeys(config.masterKeys);
  const given: EnvironmentSecret[] = [...sources.keys()].flatMap((source) =>
    (config.secrets[source] ?? []).map((secret) => ({ source, secret, fingerprint: fingerprintOf(secret, source) })),
  );
  const sayAway = onceInAWhile();
  const saidOf = new Set<string>();
  let registeredAt = -Infinity;
  let saidListeningAt = -Infinity;

  /** Opens a secret; null, once told, where that cannot be. */
  function open(row: LiveSecretRow, sealed: string): string | null {
    const { source, fingerprint } = row;
    try {
      if (keyring !== null) return openSourceSecret(keyring, { ...row, sealed });
      if (sayOnce(row)) {
        log.error(
          { source, fingerprint },
          "PENSTOCK_MASTER_KEY is not set, so a secret that was added to the database cannot be opened, and what is signed with it is refused: give ingest the master key that the command has",
        );
      }
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      if (sayOnce(row)) {
        log.error(
          { source, fingerprint, err: error },
          "a secret of the database cannot be opened, and what is signed with it is refused",
        );
      }
    }
    return null;
  }

  const sayOnce = ({ source, fingerprint }: LiveSecretRow): boolean =>
    !saidOf.has(`${source} ${fingerprint}`) && saidOf.add(`${source} ${fingerprint}`).size > 0;

  function apply(rows: readonly LiveSecretRow[]): void {
    for (const [name, configured] of sources) {
      const marked = rows.filter(({ source }) => source === name);
      const ended = new Set(marked.filter((row) => row.ended).map(({ fingerprint }) => fingerprint));
      const kept = marked.flatMap((row) => {
        if (row.sealed === null || row.ended) return [];
        const secret = open(row, row.sealed);
        return secret === null ? [] : [{ fingerprint: row.fingerprint, secret }];
      });
      const known = new Set(kept.map(({ fingerprint }) => fingerprint));
      const environment = given.filter(
        ({ source, fingerprint }) => source === name && !ended.has(fingerprint) && !known.has(fingerprint),
      );
      const all = [...kept, ...environment];
      const before = configured.live;
      if (all.map(({ fingerprint }) => fingerprint).join() === before.fingerprints.join()) continue;
      configured.live = toLiveSecrets(all, before.secrets.verifyTokens);
      log.info({ source: name, secrets: all.map(({ fingerprint }) => fingerprint) }, "the secrets of a source changed");
      if (all.length === 0) log.error({ source: name }, "a source has no secret that counts: all it sends is refused");
    }
  }

  async function register(): Promise<void> {
    if (performance.now() - registeredAt < REGISTER_EVERY_MS) return;
    await registerEnvironmentSecrets(store, given);
    registeredAt = performance.now();
  }

  async function tellHeard(): Promise<void> {
    const saysListening = performance.now() - saidListeningAt >= SAY_LISTENING_EVERY_MS;
    await tellActivity(sources, store, saysListening);
    if (saysListening) saidListeningAt = performance.now();
  }

  async function update(): Promise<boolean> {
    try {
      await register();
      await tellUses(sources, store);
      await tellHeard();
      apply(await readLiveSecrets(store));
      return true;
    } catch (error) {
      sayAway(() =>
        log.warn(
          { err: error },
          "the secrets of sources could not be read from the database: those that were read last count on, changes have to wait",
        ),
      );
      return false;
    }
  }

  return {
    update,
    start(signal) {
      const loop = (): void => {
        if (signal.aborted) return;
        void update().finally(() => void setTimeout(loop, EVERY_MS).unref());
      };
      setTimeout(loop, EVERY_MS).unref();
    },
  };
}

/** Secrets as a request needs them. */
export function toLiveSecrets(
  all: readonly { readonly fingerprint: string; readonly secret: string }[],
  verifyTokens: readonly string[],
): LiveSecrets {
  return {
    secrets: { signing: all.map(({ secret }) => secret), verifyTokens },
    fingerprints: all.map(({ fingerprint }) => fingerprint),
    usedAt: all.map(() => 0),
  };
}

/** Tells when secrets were last used. What fails is told the next time. */
async function tellUses(sources: ReadonlyMap<string, ConfiguredSource>, store: Store): Promise<void> {
  const now = performance.now();
  const used = [...sources].flatMap(([source, { live }]) =>
    live.usedAt.flatMap((at, index) => (at === 0 ? [] : [{ source, live, index, at }])),
  );
  if (used.length === 0) return;
  await recordSecretUses(
    store,
    used.map(({ source, live, index, at }) => ({
      source,
      fingerprint: live.fingerprints[index] ?? "",
      agoMs: now - at,
    })),
  );
  for (const { live, index, at } of used) if (live.usedAt[index] === at) live.usedAt[index] = 0;
}

async function tellActivity(sources: ReadonlyMap<string, ConfiguredSource>, store: Store, all: boolean): Promise<void> {
  const now = performance.now();
  const agoOf = (at: number): number | null => (at === 0 ? null : now - at);
  const heard = [...sources]
    .map(([source, { activity }]) => ({ source, activity, ...activity }))
    .filter(({ eventAt, refused }) => all || eventAt !== 0 || refused !== 0);
  if (heard.length === 0) return;
  await recordSourceActivity(
    store,
    heard.map(({ source, eventAt, refusedAt, refused, accepted }) => ({
      source,
      eventAgoMs: agoOf(eventAt),
      refusedAgoMs: agoOf(refusedAt),
      refused,
      requests: accepted,
    })),
  );
  for (const { activity, eventAt, refusedAt, refused, accepted } of heard) {
    if (activity.eventAt === eventAt) activity.eventAt = 0;
    if (activity.refusedAt === refusedAt) activity.refusedAt = 0;
    activity.refused -= refused;
    activity.accepted -= accepted;
  }
}
