import type { z } from "zod";

/** What somebody may do; each may what the ones before it may. */
export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One route of the admin API: the server checks by it, OpenAPI and the client are made from it. */
export interface RouteSpec {
  /** One line, for the list of all routes. */
  readonly summary: string;
  /** The least role that may call it. "anyone": no credentials are asked for. */
  readonly role: Role | "anyone";
  /** Parameters in the path, written `{id}` there. */
  readonly path?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** What a success answers with; null: 204, without a body. */
  readonly response: z.ZodType | null;
  /**
   * "needed": only those who may see payloads may call it. Else what the answer may quote is masked by its schema (masked.ts), and
   * bodies by their handler.
   */
  readonly payloads?: "needed";
  /** The answer holds a secret: it is not kept for a repeated Idempotency-Key. */
  readonly secret?: boolean;
  /** "events": an answer that goes on, as server-sent events; each is a `response`. "raw": any other media type. */
  readonly stream?: "events" | "raw";
}

/** Routes by `METHOD /path`, relative to `/api/v1`. */
export type Routes = Readonly<Record<`${Method} /${string}`, RouteSpec>>;

type Part<Spec, Name extends string, Side extends "input" | "output"> =
  Spec extends Record<Name, infer Schema extends z.ZodType>
    ? { readonly [Key in Name]: Side extends "input" ? z.input<Schema> : z.output<Schema> }
    : unknown;

/** What a caller gives. */
export type RouteInput<Spec extends RouteSpec> = Part<Spec, "path", "input"> &
  Part<Spec, "query", "input"> &
  Part<Spec, "body", "input">;

/** What a handler gets, checked. */
export type RouteCall<Spec extends RouteSpec> = Part<Spec, "path", "output"> &
  Part<Spec, "query", "output"> &
  Part<Spec, "body", "output">;

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

/** What a handler returns; one that streams writes its answer itself. */
export type RouteResult<Spec extends RouteSpec> = Spec extends { readonly stream: string }
  ? void
  : Spec["response"] extends z.ZodType
    ? DeepReadonly<z.input<Spec["response"]>>
    : undefined;

/** What a caller gets. */
export type RouteAnswer<Spec extends RouteSpec> = Spec["response"] extends z.ZodType
  ? z.output<Spec["response"]>
  : undefined;

/** Checks a table of routes and keeps its exact type. */
export const defineRoutes = <const Table extends Routes>(table: Table): Table => table;
