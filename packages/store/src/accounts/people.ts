import { randomUUID } from "node:crypto";
import { query, type Store } from "../connection/create-store.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";

export type RoleName = "viewer" | "operator" | "admin";

/** Somebody who may use the console. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: RoleName;
  readonly seesPayloads: boolean;
  readonly createdAt: string;
  /** The last time that a session of theirs was begun or used, to a day; null when there is none. */
  readonly seenAt: string | null;
  readonly disabledAt: string | null;
}

/** The person that `npm start` and `penstock console link` sign in where nobody is named. A domain without a dot could not sign in by a password. */
const FIRST_ADMIN = { email: "admin@penstock.localhost", name: "Admin", role: "admin", seesPayloads: true } as const;

const PERSON_ROW = {
  id: "text",
  name: "text",
  email: "text",
  role: column<RoleName>("text"),
  sees_payloads: "bool",
  created_at: "timestamptz",
  disabled_at: "timestamptz?",
  seen_at: "timestamptz?",
} as const;
const PERSON = `p.id, p.name, p.email, p.role, p.sees_payloads, p.created_at, p.disabled_at,
  (SELECT max(s.updated_at) FROM penstock.sessions s WHERE s.person_id = p.id) AS seen_at`;

const LIST = statement({ rows: PERSON_ROW, text: sql`SELECT ${PERSON} FROM penstock.people p ORDER BY p.email` });

const FIND = statement({
  rows: PERSON_ROW,
  text: sql`SELECT ${PERSON} FROM penstock.people p WHERE p.email = ${{ email: "text" }}`,
});

const FIND_ADMIN = statement({
  rows: PERSON_ROW,
  text: sql`
    SELECT ${PERSON} FROM penstock.people p WHERE p.role = 'admin' AND p.disabled_at IS NULL
     ORDER BY p.email <> ${{ email: "text" }}, p.created_at LIMIT 1`,
});

const ADD = statement({
  rows: PERSON_ROW,
  text: sql`
    INSERT INTO penstock.people AS p (id, name, email, role, sees_payloads)
    VALUES (${{ id: "text", name: "text", email: "text", role: "text", seesPayloads: "bool" }})
    ON CONFLICT (email) DO NOTHING RETURNING ${PERSON}`,
});

const CHANGE = statement({
  rows: PERSON_ROW,
  text: sql`
    UPDATE penstock.people AS p SET
      role = coalesce(${{ role: "text?" }}, role),
      sees_payloads = coalesce(${{ seesPayloads: "bool?" }}, sees_payloads),
      disabled_at = CASE WHEN ${{ disabled: "bool?" }} IS NULL THEN disabled_at
                         WHEN ${{ disabled: "bool?" }} THEN coalesce(disabled_at, now()) END,
      updated_at = now()
     WHERE id = ${{ id: "text" }} RETURNING ${PERSON}`,
});

// Locked, so that of two admins who demote each other one is refused.
const LOCK_ADMINS = statement({
  rows: { id: "text" },
  text: sql`SELECT id FROM penstock.people WHERE role = 'admin' AND disabled_at IS NULL ORDER BY id FOR UPDATE`,
});

const END_SESSIONS = statement({
  text: sql`DELETE FROM penstock.sessions WHERE person_id = ${{ id: "text" }}`,
});

const END_LINKS = statement({
  text: sql`DELETE FROM penstock.sign_in_links WHERE person_id = ${{ id: "text" }}`,
});

const UPDATE_SELF = statement({
  text: sql`
    UPDATE penstock.people SET
      name = coalesce(${{ name: "text?" }}, name),
      language = CASE WHEN ${{ setLanguage: "bool" }} THEN ${{ language: "text?" }} ELSE language END,
      theme = coalesce(${{ theme: "text?" }}, theme), updated_at = now()
     WHERE id = ${{ id: "text" }}`,
});

const HAS_PASSWORD = statement({
  rows: { has: "bool" },
  text: sql`
    SELECT EXISTS (SELECT FROM penstock.credentials
                    WHERE person_id = ${{ id: "text" }} AND password IS NOT NULL) AS has`,
});

const IS_DISABLED = statement({
  rows: { is_disabled: "bool" },
  text: sql`SELECT disabled_at IS NOT NULL AS is_disabled FROM penstock.people WHERE id = ${{ id: "text" }}`,
});

/** Whether somebody may not sign in. */
export async function isDisabled(store: Store, id: string): Promise<boolean> {
  return (await query(store.pool, IS_DISABLED, { id })).rows[0]?.is_disabled ?? true;
}

const EMAIL = statement({
  rows: { email: "text" },
  text: sql`SELECT email FROM penstock.people WHERE id = ${{ id: "text" }}`,
});

/** Puts on record that somebody signs in by another means from now on: by a password, or by a provider of identities. */
export async function recordSignInChange(
  store: Store,
  id: string,
  action: "people.password" | "people.sign-in-method",
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  const email = (await query(store.pool, EMAIL, { id })).rows[0]?.email ?? id;
  await recordAudit(store.pool, { actor: email, action, target: email, detail });
}

/** Who may sign in, by their addresses. */
export async function listPeople(store: Store): Promise<Person[]> {
  return (await query(store.pool, LIST)).rows.map(toPerson);
}

/** The person with this address, or null. */
export async function findPerson(store: Store, email: string): Promise<Person | null> {
  const [row] = (await query(store.pool, FIND, { email: email.toLowerCase() })).rows;
  return row ? toPerson(row) : null;
}

/** The admin who is there from the start, or else the oldest one; where there is none, made now. */
export async function ensureAdmin(store: Store): Promise<Person> {
  const find = async () => (await query(store.pool, FIND_ADMIN, { email: FIRST_ADMIN.email })).rows[0];
  const found = (await find()) ?? (await query(store.pool, ADD, { id: randomUUID(), ...FIRST_ADMIN })).rows[0];
  // Of two that ask at once, one has made it.
  const row = found ?? (await find());
  if (row === undefined) {
    throw new Error(`${FIRST_ADMIN.email} may not sign in, and there is no other admin: enable it in penstock.people`);
  }
  return toPerson(row);
}

/** Adds somebody who can sign in by a link. Null when the address is known already. */
export async function addPerson(
  store: Store,
  person: Pick<Person, "email" | "name" | "role" | "seesPayloads">,
  actor: string,
): Promise<Person | null> {
  return transaction(store, async (tx) => {
    const { name, role, seesPayloads } = person;
    const values = { id: randomUUID(), email: person.email.toLowerCase(), name, role, seesPayloads };
    const [row] = (await query(tx, ADD, values)).rows;
    if (row === undefined) return null;
    await recordAudit(tx, { actor, action: "people.add", target: values.email, detail: { role, seesPayloads } });
    return toPerson(row);
  });
}

/** What an admin may change of a person; what is left out stays. */
export interface PersonRights {
  readonly role?: RoleName | undefined;
  readonly seesPayloads?: boolean | undefined;
  /** Whether they may not sign in. */
  readonly disabled?: boolean | undefined;
}

/** What came of a change to a person. */
export type PersonChange =
  { readonly ok: true; readonly person: Person } | { readonly ok: false; readonly reason: "unknown" | "last-admin" };

/**
 * Changes what somebody may do. Their sessions and links end when they may not sign in any more. The last admin stays one:
 * nobody could undo it.
 */
export async function changePerson(
  store: Store,
  id: string,
  { role, seesPayloads, disabled }: PersonRights,
  actor: string,
): Promise<PersonChange> {
  return transaction(store, async (tx) => {
    const admins = (await query(tx, LOCK_ADMINS)).rows.map((row) => row.id);
    const ceases = disabled === true || (role !== undefined && role !== "admin");
    if (ceases && admins.length === 1 && admins[0] === id) return { ok: false, reason: "last-admin" };
    const [row] = (await query(tx, CHANGE, { id, role, seesPayloads, disabled })).rows;
    if (!row) return { ok: false, reason: "unknown" };
    if (disabled === true) {
      await query(tx, END_SESSIONS, { id });
      await query(tx, END_LINKS, { id });
    }
    const detail = { role, seesPayloads, disabled };
    await recordAudit(tx, { actor, action: "people.change", target: row.email, detail });
    return { ok: true, person: toPerson(row) };
  });
}

/** Changes what a person may change of themselves. A language of null is that of the browser. */
export async function updateSelf(
  store: Store,
  id: string,
  {
    name,
    language,
    theme,
  }: {
    readonly name?: string | undefined;
    readonly language?: string | null | undefined;
    readonly theme?: string | undefined;
  },
): Promise<void> {
  await query(store.pool, UPDATE_SELF, { id, name, language, setLanguage: language !== undefined, theme });
}

/** Whether somebody can sign in by a password. */
export async function hasPassword(store: Store, id: string): Promise<boolean> {
  return (await query(store.pool, HAS_PASSWORD, { id })).rows[0]?.has ?? false;
}

function toPerson(row: RowOf<typeof LIST>): Person {
  return {
    id: row.id,
    name: row.name,
    email: row.email,
    role: row.role,
    seesPayloads: row.sees_payloads,
    createdAt: row.created_at.toISOString(),
    seenAt: row.seen_at?.toISOString() ?? null,
    disabledAt: row.disabled_at?.toISOString() ?? null,
  };
}
