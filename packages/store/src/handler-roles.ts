import { randomBytes } from "node:crypto";
import type { TransactionalHandler } from "@penstock/handler-sdk";
import type pg from "pg";
import { query, type Store } from "./create-store.ts";
import { HandlerAccessError } from "./errors.ts";
import { transaction } from "./transaction.ts";

/** The role that a handler's statements run as, by its schema. Of a handler that is missing they run as everything else does. */
export type HandlerRoles = ReadonlyMap<string, string>;

/** What decides what a handler may see. */
export type HandlerAccess = Pick<TransactionalHandler, "name" | "schema" | "reads" | "writes">;

/**
 * Makes a role for each handler, and grants it its own schema and what it declares, and nothing else: what it no longer
 * declares is taken back. Makes none where the role that this is run as may not create roles.
 *
 * @throws HandlerAccessError when a schema that is declared does not exist, or is not ours to grant.
 */
export async function ensureHandlerRoles(store: Store, handlers: readonly HandlerAccess[]): Promise<void> {
  if (handlers.length === 0) return;
  await transaction(store, async (client) => {
    await query(client, "SELECT pg_advisory_xact_lock(hashtextextended('penstock handler roles', 0))");
    const { rows } = await query<{ may: boolean }>(
      client,
      "SELECT rolcreaterole OR rolsuper AS may FROM pg_catalog.pg_roles WHERE rolname = current_user",
    );
    if (rows[0]?.may !== true) return;
    for (const handler of handlers) await grant(client, await ensureRole(client, handler.schema), handler);
  });
}

async function ensureRole(client: pg.PoolClient, schema: string): Promise<string> {
  const { rows } = await query<{ role: string }>(
    client,
    `INSERT INTO penstock.handler_roles (schema, role)
     VALUES ($1, left(current_database(), 26) || '_' || left($1, 26) || '_' || $2)
         ON CONFLICT (schema) DO UPDATE SET schema = excluded.schema
     RETURNING role`,
    [schema, randomBytes(4).toString("hex")],
  );
  const role = rows[0]?.role ?? "";
  const found = await query(client, "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", [role]);
  // Missing also where a dump was restored on another server.
  if (found.rowCount === 0) await query(client, `CREATE ROLE ${quote(role)} NOLOGIN`);
  await query(client, `GRANT ${quote(role)} TO CURRENT_USER`);
  return role;
}

async function grant(client: pg.PoolClient, role: string, handler: HandlerAccess): Promise<void> {
  const { rows } = await query<{ schema: string; exists: boolean; held: boolean }>(
    client,
    `SELECT coalesce(w.schema, n.nspname) AS schema, n.nspname IS NOT NULL AS exists,
            coalesce(EXISTS (SELECT FROM aclexplode(n.nspacl) AS a WHERE a.grantee = $2::regrole), false) AS held
       FROM unnest($1::text[]) AS w (schema) FULL JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
      WHERE w.schema IS NOT NULL OR EXISTS (SELECT FROM aclexplode(n.nspacl) AS a WHERE a.grantee = $2::regrole)`,
    [[handler.schema, ...handler.reads, ...handler.writes], quote(role)],
  );
  const to = quote(role);
  for (const { schema, exists, held } of rows) {
    const writes = schema === handler.schema || handler.writes.includes(schema);
    if (!exists) {
      // Its own is made by its first migration.
      if (schema === handler.schema) continue;
      const how = writes ? "writes" : "reads";
      throw new HandlerAccessError(`handler ${handler.name} ${how} schema ${schema}, which does not exist`);
    }
    const quoted = quote(schema);
    const statements = [];
    if (held) {
      for (const kind of ["TABLES", "SEQUENCES", "ROUTINES"]) {
        statements.push(`REVOKE ALL ON ALL ${kind} IN SCHEMA ${quoted} FROM ${to}`);
        statements.push(`ALTER DEFAULT PRIVILEGES IN SCHEMA ${quoted} REVOKE ALL ON ${kind} FROM ${to}`);
      }
      statements.push(`REVOKE ALL ON SCHEMA ${quoted} FROM ${to}`);
    }
    const declared = writes || handler.reads.includes(schema);
    if (declared) {
      statements.push(`GRANT USAGE${schema === handler.schema ? ", CREATE" : ""} ON SCHEMA ${quoted} TO ${to}`);
      // What its owner makes later is granted by the default.
      for (const kind of writes ? ["TABLES", "SEQUENCES", "ROUTINES"] : ["TABLES"]) {
        const what = writes ? "ALL" : "SELECT";
        statements.push(`GRANT ${what} ON ALL ${kind} IN SCHEMA ${quoted} TO ${to}`);
        statements.push(`ALTER DEFAULT PRIVILEGES IN SCHEMA ${quoted} GRANT ${what} ON ${kind} TO ${to}`);
      }
    }
    await query(client, statements.join("; ")).catch((cause: unknown) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new HandlerAccessError(`handler ${handler.name} could not be given schema ${schema}: ${message}`, {
        cause,
      });
    });
  }
}

/** The roles that this connection may take on, by schema. */
export async function findHandlerRoles(store: Store): Promise<HandlerRoles> {
  const { rows } = await query<{ schema: string; role: string }>(
    store.pool,
    `SELECT h.schema, h.role FROM penstock.handler_roles h JOIN pg_catalog.pg_roles r ON r.rolname = h.role
      WHERE pg_has_role(session_user, r.oid,
                        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)`,
  );
  return new Map(rows.map(({ schema, role }) => [schema, role]));
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
