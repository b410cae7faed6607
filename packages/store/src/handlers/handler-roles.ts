import { randomBytes } from "node:crypto";
import type { TransactionalHandler } from "@penstock/handler-sdk";
import type pg from "pg";
import { command, query, type Store } from "../connection/create-store.ts";
import { HandlerAccessError } from "../connection/errors.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";

/** The role that a handler's statements run as, by the handler's schema. Without a role, they run as the worker's role. */
export type HandlerRoles = ReadonlyMap<string, string>;

/** What decides what a handler may see. */
export type HandlerAccess = Pick<TransactionalHandler, "name" | "schema" | "reads" | "writes">;

const LOCK = statement({
  rows: { pg_advisory_xact_lock: "void" },
  text: sql`SELECT pg_advisory_xact_lock(hashtextextended('penstock handler roles', 0))`,
});

const MAY = statement({
  rows: { may: "bool" },
  text: sql`SELECT rolcreaterole OR rolsuper AS may FROM pg_catalog.pg_roles WHERE rolname = current_user`,
});

/**
 * Makes a role for each handler, and grants it the handler's own schema and the schemas that the handler declares, and nothing
 * else: grants of schemas that are no longer declared are revoked. Makes no roles where the current role may not create any.
 *
 * @throws HandlerAccessError when a declared schema does not exist, or the current role cannot grant it.
 */
export async function ensureHandlerRoles(store: Store, handlers: readonly HandlerAccess[]): Promise<void> {
  if (handlers.length === 0) return;
  await transaction(store, async (client) => {
    await query(client, LOCK);
    const { rows } = await query(client, MAY);
    if (rows[0]?.may !== true) return;
    for (const handler of handlers) await grant(client, await ensureRole(client, handler.schema), handler);
  });
}

const schema = { schema: "text" } as const;

const NAME_ROLE = statement({
  rows: { role: "text" },
  text: sql`
    INSERT INTO penstock.handler_roles (schema, role)
    VALUES (${schema}, left(current_database(), 26) || '_' || left(${schema}, 26) || '_' || ${{ suffix: "text" }})
        ON CONFLICT (schema) DO UPDATE SET schema = excluded.schema
    RETURNING role`,
});

const FIND_ROLE = statement({
  text: sql`SELECT FROM pg_catalog.pg_roles WHERE rolname = ${{ role: "text" }}`,
});

async function ensureRole(client: pg.PoolClient, schema: string): Promise<string> {
  const { rows } = await query(client, NAME_ROLE, { schema, suffix: randomBytes(4).toString("hex") });
  const role = rows[0]?.role ?? "";
  const found = await query(client, FIND_ROLE, { role });
  // The role is also missing after a dump was restored on another server.
  if (found.rowCount === 0) await command(client, `CREATE ROLE ${quote(role)} NOLOGIN`);
  await command(client, `GRANT ${quote(role)} TO CURRENT_USER`);
  return role;
}

const role = { role: "text" } as const;

const RIGHTS = statement({
  rows: { schema: "text", exists: "bool", held: "bool" },
  text: sql`
    SELECT coalesce(w.schema, n.nspname) AS schema, n.nspname IS NOT NULL AS exists,
           coalesce(EXISTS (SELECT FROM aclexplode(n.nspacl) AS a WHERE a.grantee = ${role}::regrole), false) AS held
      FROM unnest(${{ schemas: "text[]" }}) AS w (schema) FULL JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
     WHERE w.schema IS NOT NULL OR EXISTS (SELECT FROM aclexplode(n.nspacl) AS a WHERE a.grantee = ${role}::regrole)`,
});

async function grant(client: pg.PoolClient, role: string, handler: HandlerAccess): Promise<void> {
  const schemas = [handler.schema, ...handler.reads, ...handler.writes];
  const { rows } = await query(client, RIGHTS, { schemas, role: quote(role) });
  const to = quote(role);
  for (const { schema, exists, held } of rows) {
    const writes = schema === handler.schema || handler.writes.includes(schema);
    if (!exists) {
      // The handler's first migration makes its own schema.
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
      // Default privileges grant what the owner makes later.
      for (const kind of writes ? ["TABLES", "SEQUENCES", "ROUTINES"] : ["TABLES"]) {
        const what = writes ? "ALL" : "SELECT";
        statements.push(`GRANT ${what} ON ALL ${kind} IN SCHEMA ${quoted} TO ${to}`);
        statements.push(`ALTER DEFAULT PRIVILEGES IN SCHEMA ${quoted} GRANT ${what} ON ${kind} TO ${to}`);
      }
    }
    await command(client, statements.join("; ")).catch((cause: unknown) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new HandlerAccessError(`handler ${handler.name} could not be given schema ${schema}: ${message}`, {
        cause,
      });
    });
  }
}

const FIND = statement({
  rows: { schema: "text", role: "text" },
  text: sql`
    SELECT h.schema, h.role FROM penstock.handler_roles h JOIN pg_catalog.pg_roles r ON r.rolname = h.role
     WHERE pg_has_role(session_user, r.oid,
                       CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)`,
});

/** The roles that this connection may take on, by schema. */
export async function findHandlerRoles(store: Store): Promise<HandlerRoles> {
  const { rows } = await query(store.pool, FIND);
  return new Map(rows.map(({ schema, role }) => [schema, role]));
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
