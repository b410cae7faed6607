export { killPrograms, type Program, type ProgramSpec, profiling, ROOT, startProgram } from "./program.ts";
export { killAbandonedRedis } from "./redis-process.ts";
export { launchRedis } from "./provide-redis.ts";
export type { ServerUnderTest } from "./server-under-test.ts";
