import { AsyncResource } from "node:async_hooks";
import type pg from "pg";

type Connect = (callback?: (...args: unknown[]) => void) => unknown;

/**
 * Makes callers of a pool continue in their own async context. Without this, code that waited for a connection would continue in
 * the context, and the trace, of the code that released the connection.
 */
export function keepContext(pool: pg.Pool): void {
  const connect = pool.connect.bind(pool) as Connect;
  const bound: Connect = (callback) => (callback ? connect(AsyncResource.bind(callback)) : connect());
  pool.connect = bound as typeof pool.connect;
}
