import { AsyncResource } from "node:async_hooks";
import type pg from "pg";

type Connect = (callback?: (...args: unknown[]) => void) => unknown;

/**
 * Has what waits for a connection go on in its own context. A pool calls it back from where a connection is released,
 * and so in the trace of whoever had that one before.
 */
export function keepContext(pool: pg.Pool): void {
  const connect = pool.connect.bind(pool) as Connect;
  const bound: Connect = (callback) => (callback ? connect(AsyncResource.bind(callback)) : connect());
  pool.connect = bound as typeof pool.connect;
}
