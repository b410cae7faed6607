import type { Role } from "@penstock/schemas/admin";
import type { Request } from "express";

/** Who is asking. */
export interface Principal {
  readonly kind: "person" | "token";
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly role: Role;
  /** Whether bodies and headers of events are shown to them. */
  readonly seesPayloads: boolean;
  readonly language: string | null;
  readonly theme: string;
  /** How they stand in the audit log. */
  readonly actor: string;
}

/** Finds out who is asking; null when nobody with valid credentials. */
export type Authenticate = (req: Request) => Promise<Principal | null>;
