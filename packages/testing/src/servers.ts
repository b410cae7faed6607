export { killPrograms, type Program, type ProgramSpec, profiling, ROOT, startProgram } from "./program.ts";
export { launchRedis } from "./provide-redis.ts";
export type { ServerUnderTest } from "./server-under-test.ts";
