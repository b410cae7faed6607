import { assertMigrated, readServer } from "@penstock/store";
import { type Check, fail, ok, warn } from "../check.ts";
import { plural } from "../words.ts";

const FEW_DAYS = 3;

/** Migrations, and partitions for the days to come. */
export const schema: Check = {
  part: "Schema",
  asksPostgres: true,
  async run({ store, handlers, penstock }) {
    try {
      await assertMigrated(store, handlers);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return [fail("schema.migrations", reason, `Run \`${penstock} migrate\`.`)];
    }
    const { daysWithPartition: days } = await readServer(store);
    const migrations = ok("schema.migrations", "all migrations are applied");
    if (days > FEW_DAYS)
      return [
        migrations,
        ok("schema.partitions", `partitions are there for today and ${plural(days - 1, "day")} ahead`),
      ];
    const says = `partitions are there for ${plural(days, "day")} from today on, and workers make them for eight`;
    const todo = "Start a worker, and look into its log.";
    return [
      migrations,
      days === 0
        ? fail("schema.partitions", `${says}: ingest has to make today's itself`, todo)
        : warn("schema.partitions", says, todo),
    ];
  },
};
