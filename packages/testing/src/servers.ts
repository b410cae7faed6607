export { launchRedis } from "./provide-redis.ts";
export type { ServerUnderTest } from "./server-under-test.ts";
