import { type Kysely, sql } from "kysely";

/**
 * Contacts, conversations, messages and workflow runs, and what is asked of them most. `versions` says which event each
 * value comes from. Ids are compared byte by byte, which is cheaper and the order in which workers lock.
 *
 * There are no foreign keys: whatever an event mentions gets a row anyway, and checking them would have every message
 * lock the rows of its contact and conversation.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE contacts (
      source text COLLATE "C" NOT NULL,
      contact_id text COLLATE "C" NOT NULL,
      name text,
      email text,
      phone text,
      tags jsonb,                         -- a list of texts
      fields jsonb NOT NULL,              -- the workspace's own fields
      created_at timestamptz,             -- null as long as no contact.created has come
      updated_at timestamptz,             -- the last contact.created or contact.updated
      first_seen_at timestamptz NOT NULL, -- the first event of any type that mentions it
      versions jsonb NOT NULL,
      PRIMARY KEY (source, contact_id)
    ) WITH (fillfactor = 85);
    -- By hash or as GIN, which take values of any length: a B-tree refuses long ones, and with them the whole event.
    CREATE INDEX contacts_phone ON contacts USING hash (phone);
    CREATE INDEX contacts_email ON contacts USING hash (lower(email));
    CREATE INDEX contacts_tags ON contacts USING gin (tags);
    CREATE INDEX contacts_fields ON contacts USING gin (fields jsonb_path_ops);

    CREATE TABLE conversations (
      source text COLLATE "C" NOT NULL,
      conversation_id text COLLATE "C" NOT NULL,
      contact_id text COLLATE "C",
      status text,                        -- open, resolved; null as long as it was only mentioned
      channel text,
      subject text,
      assignee_id text,
      opened_at timestamptz,              -- the last time it was opened
      resolved_at timestamptz,            -- the last time it was resolved, also when it was opened again since
      updated_at timestamptz,             -- the last event about the conversation itself
      first_seen_at timestamptz NOT NULL, -- the first event of any type that mentions it
      versions jsonb NOT NULL,
      PRIMARY KEY (source, conversation_id)
    ) WITH (fillfactor = 85);
    CREATE INDEX conversations_contact ON conversations (source, contact_id);
    CREATE INDEX conversations_open ON conversations (source, conversation_id) WHERE status IS DISTINCT FROM 'resolved';

    CREATE TABLE messages (
      source text COLLATE "C" NOT NULL,
      message_id text COLLATE "C" NOT NULL,
      conversation_id text COLLATE "C" NOT NULL,
      contact_id text COLLATE "C" NOT NULL,
      direction text NOT NULL,            -- inbound, outbound
      status text NOT NULL,               -- received, sent, failed
      status_at timestamptz NOT NULL,
      provider_status text,               -- the provider's own word for it
      error_code text,
      error_message text,
      channel text,
      body text,
      sender text,
      recipient text,
      created_at timestamptz NOT NULL,    -- the first event about it
      versions jsonb NOT NULL,
      PRIMARY KEY (source, message_id)
    );
    CREATE INDEX messages_conversation ON messages (source, conversation_id, created_at, message_id);

    CREATE TABLE workflow_runs (
      source text COLLATE "C" NOT NULL,
      run_id text COLLATE "C" NOT NULL,   -- where the sender gave none: event: and the id of the event
      workflow_id text COLLATE "C" NOT NULL,
      contact_id text COLLATE "C",
      conversation_id text COLLATE "C",
      name text,
      triggered_by text,
      input jsonb,
      triggered_at timestamptz NOT NULL,
      versions jsonb NOT NULL,
      PRIMARY KEY (source, run_id)
    );
    CREATE INDEX workflow_runs_workflow ON workflow_runs (source, workflow_id, triggered_at);
    CREATE INDEX workflow_runs_contact ON workflow_runs (source, contact_id, triggered_at);

    -- What waits for an answer. A conversation that was only mentioned counts as open: one too many on the list costs a
    -- look, one too few a customer.
    CREATE VIEW open_conversations AS
    SELECT c.source, c.conversation_id, c.contact_id, p.name AS contact_name, c.channel, c.subject, c.assignee_id,
           c.opened_at,
           last.message_id AS last_message_id, last.created_at AS last_message_at,
           last.direction AS last_message_direction, last.status AS last_message_status, last.body AS last_message_body,
           waiting.unanswered, waiting.since AS waiting_since
      FROM conversations c
      LEFT JOIN contacts p ON p.source = c.source AND p.contact_id = c.contact_id
      LEFT JOIN LATERAL (
        SELECT m.* FROM messages m
         WHERE m.source = c.source AND m.conversation_id = c.conversation_id
         ORDER BY m.created_at DESC, m.message_id DESC LIMIT 1
      ) AS last ON true
      CROSS JOIN LATERAL (
        SELECT count(*) AS unanswered, min(m.created_at) AS since FROM messages m
         WHERE m.source = c.source AND m.conversation_id = c.conversation_id AND m.direction = 'inbound'
           AND m.created_at > coalesce((
                 SELECT a.created_at FROM messages a
                  WHERE a.source = c.source AND a.conversation_id = c.conversation_id AND a.status = 'sent'
                  ORDER BY a.created_at DESC LIMIT 1), '-infinity')
      ) AS waiting
     WHERE c.status IS DISTINCT FROM 'resolved';
  `.execute(db);
}
