export { findFreePort as freePort } from "@penstock/embedded-postgres";
export { checkDocTypes, type DocBlock, readDocBlocks, writeDocFiles } from "./doc-blocks.ts";
export { eventually, type EventuallyOptions } from "./eventually.ts";
export type { ServerUnderTest } from "./server-under-test.ts";
export { startPostgres } from "./start-postgres.ts";
export { startRedis } from "./start-redis.ts";
export {
  createTestDatabase,
  ensureTemplate,
  type Migrate,
  type TestDatabase,
  type TestDatabaseOptions,
} from "./test-database.ts";
export { createTestRedis, type TestRedis } from "./test-redis.ts";
import "./provided-context.ts";
export { startProcess, type ProcessExit, type ProcessOptions, type TestProcess } from "./start-process.ts";
