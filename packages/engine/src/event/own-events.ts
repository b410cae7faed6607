import {
  endpointDisabledSchema,
  ISSUE_OPENED,
  issueOpenedSchema,
  OWN_SOURCE,
  SUBJECT_ERASED,
  subjectErasedSchema,
} from "@penstock/schemas";
import type { EventCheck, StoredContent } from "@penstock/sources";
import type { EngineContext } from "../contract/engine-context.ts";

const TYPES = {
  "endpoint.disabled": endpointDisabledSchema,
  [ISSUE_OPENED]: issueOpenedSchema,
  [SUBJECT_ERASED]: subjectErasedSchema,
};

/** The source of Penstock's own events. They are made in Postgres, and nobody can send them. */
const ownEvents = {
  provider: OWN_SOURCE,
  sendsEnvelope: true,
  plainSignatureHeader: null,
  sensitive: [],
  check({ body, eventId, type }: StoredContent): EventCheck {
    if (type === null || eventId === null || !Object.hasOwn(TYPES, type)) {
      return { ok: false, reason: "unknown-type", detail: `Penstock makes no event of type ${type}` };
    }
    const envelope = JSON.parse(body.toString()) as { createdAt: string; data: unknown };
    const data = TYPES[type as keyof typeof TYPES].safeParse(envelope.data);
    if (!data.success) return { ok: false, reason: "invalid-shape", detail: data.error.message };
    return { ok: true, event: { id: eventId, type, createdAt: envelope.createdAt, data: data.data } };
  },
};

/** Finds sources by name, the source of Penstock's own events included. */
export function withOwnEvents(findSource: EngineContext["findSource"]): EngineContext["findSource"] {
  return (name) => (name === OWN_SOURCE ? ownEvents : findSource(name));
}
