import type { ArchiveConfig, RetentionConfig } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import {
  isRetentionHalfDone,
  observeStorage,
  readPolicy,
  type RetentionPolicy,
  runRetention,
  tellPolicy,
} from "@penstock/store";
import { loop, type Service, type ServiceContext } from "./service.ts";

const RUN_EVERY_MS = 3_600_000;
const FINISH_EVERY_MS = 60_000;

/** How long what is kept, by the settings of this worker and its sources. */
export function toPolicy(
  config: RetentionConfig,
  archive: ArchiveConfig | null,
  { list }: Pick<Sources, "list">,
): RetentionPolicy {
  const own = list.filter(({ source }) => source.retentionDays !== null || Object.keys(source.retention).length > 0);
  return {
    ...config,
    ...(archive !== null && { archive }),
    sources: Object.fromEntries(
      own.map(({ name, source }) => [name, { days: source.retentionDays, types: source.retention }]),
    ),
  };
}

/** Deletes what is due: each hour, and at once what a crash has left half gone. One worker at a time does. */
export async function keepRetention(context: ServiceContext, policy: RetentionPolicy, name: string): Promise<Service> {
  const { store, log, closing } = context;
  await tellPolicy(store, policy, name);
  log.info(
    { days: policy.days, bytes: policy.bytes, sources: policy.sources, dedupeWindowDays: policy.dedupeWindowDays },
    `events are kept for ${policy.days} days, then they are deleted`,
  );

  observeStorage(store, closing, (error) => log.warn({ err: error }, "sizes could not be measured, it is tried again"));

  async function run(): Promise<void> {
    // By the terms that were told last: another worker may have started with others since.
    const told = await readPolicy(store);
    if (told === null || told.isNew) return;
    const done = await runRetention(store, told.policy, { by: { worker: name }, signal: closing });
    if (done === null) return;
    const { plan, days, failed, rest, freed } = done;
    for (const { day, error } of failed) log.warn({ day, err: error }, "a day could not be deleted, it is tried again");
    for (const { day, holds } of plan.days) {
      if (holds.length > 0) log.warn({ day, holds }, "a day that is due is kept for now");
    }
    const rows = Object.fromEntries(rest.flatMap(({ table, rows }) => (rows > 0 ? [[table, rows]] : [])));
    if (days.length > 0 || Object.keys(rows).length > 0) log.info({ days, rows, freed }, "what was due was deleted");
    const { bytes } = plan.policy;
    if (bytes !== null && plan.bytes - plan.frees > bytes) {
      log.warn({ bytes: plan.bytes, limit: bytes }, "RETENTION_BYTES is exceeded by what has to be kept");
    }
  }

  const loops = [
    loop(context, RUN_EVERY_MS, "deleting what is due", run),
    loop(context, FINISH_EVERY_MS, "finishing a deletion", async () => {
      if (await isRetentionHalfDone(store)) await run();
    }),
  ];
  return { done: Promise.all(loops) };
}
