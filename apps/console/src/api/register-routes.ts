import type { IRouter, Request, Response } from "express";
import { ROLES, type RouteCall, type RouteResult, type Routes, type RouteSpec } from "@penstock/schemas/admin";
import type { Logger } from "@penstock/telemetry";
import type { z } from "zod";
import type { AnswerOnce } from "./answer-once.ts";
import { maskAnswer } from "./mask-answer.ts";
import type { Authenticate, Principal } from "./principal.ts";
import { Problem, type ProblemDetail } from "./problem.ts";
import { assertSameOrigin, type PublicPlace } from "./same-origin.ts";

/** What a handler may know beside its checked input. */
export interface Call {
  readonly principal: Principal;
  readonly req: Request;
  /** For a route that streams; the others return what they answer with. */
  readonly res: Response;
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal;
}

/** A function for each route of a table. */
export type Handlers<Table extends Routes> = {
  readonly [Key in keyof Table & keyof Routes]: (
    input: RouteCall<Table[Key]>,
    call: Call,
  ) => RouteResult<Table[Key]> | Promise<RouteResult<Table[Key]>>;
};

export interface ApiOptions {
  readonly authenticate: Authenticate;
  readonly answerOnce: AnswerOnce;
  readonly place: PublicPlace;
  readonly log: Logger;
}

type AnyHandler = (input: object, call: Call) => unknown;

/** Of routes without credentials. */
const NOBODY: Principal = {
  kind: "person",
  id: "",
  name: "nobody",
  email: null,
  role: "viewer",
  seesPayloads: false,
  language: null,
  theme: "system",
  actor: "nobody",
};

/** Serves every route of a table, each behind the checks that its entry asks for. */
export function registerRoutes<Table extends Routes>(
  router: IRouter,
  table: Table,
  handlers: Handlers<Table>,
  options: ApiOptions,
): void {
  for (const [key, spec] of Object.entries(table)) {
    const [method = "", path = ""] = key.split(" ");
    const handler = handlers[key as keyof Handlers<Table>] as unknown as AnyHandler;
    const serve = (req: Request, res: Response): Promise<void> => answer(key, spec, handler, req, res, options);
    router[method.toLowerCase() as "get" | "post" | "put" | "patch" | "delete"](toExpressPath(path), serve);
  }
}

/** `/events/{id}` → `/events/:id` */
const toExpressPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ":$1");

async function answer(
  key: string,
  spec: RouteSpec,
  handler: AnyHandler,
  req: Request,
  res: Response,
  options: ApiOptions,
): Promise<void> {
  const principal = await admit(spec, req, options);
  const input = parseInput(spec, req);
  const gone = new AbortController();
  res.once("close", () => gone.abort());
  res.set("cache-control", "no-store");
  const run = async (): Promise<unknown> => handler(input, { principal, req, res, signal: gone.signal });
  if (spec.stream !== undefined) {
    await run();
    return;
  }
  const checked = async (): Promise<unknown> => {
    const result = await run();
    return spec.response?.parse(result);
  };
  const body =
    req.method === "GET"
      ? await checked()
      : await options.answerOnce(
          { caller: principal.actor, route: key, input, secret: spec.secret === true, req },
          checked,
        );
  if (body === undefined) res.status(204).end();
  // Once more for a repeated write: what is kept of an answer is whole, and the rights of the caller may have changed.
  else res.status(200).json(principal.seesPayloads || !spec.response ? body : maskAnswer(spec.response, body));
}

/** Who is asking, once it is clear that they may. @throws Problem */
async function admit(spec: RouteSpec, req: Request, { authenticate, place }: ApiOptions): Promise<Principal> {
  const byCookie = req.headers.authorization === undefined;
  const principal = spec.role === "anyone" ? NOBODY : await authenticate(req);
  if (principal === null) {
    throw new Problem(401, "Nobody is signed in", {
      detail: "Sign in, or send an API token: Authorization: Bearer pst_…",
      headers: { "www-authenticate": "Bearer" },
    });
  }
  if (byCookie && req.method !== "GET") assertSameOrigin(req, place);
  if (spec.role !== "anyone" && ROLES.indexOf(principal.role) < ROLES.indexOf(spec.role)) {
    throw new Problem(403, `This takes the role ${spec.role}`, { detail: `${principal.name} is ${principal.role}.` });
  }
  if (spec.payloads === "needed" && !principal.seesPayloads) {
    throw new Problem(403, "This shows payloads", {
      detail: `${principal.name} may not see the payloads of events. An admin can change that in Settings.`,
    });
  }
  return principal;
}

function parseInput(spec: RouteSpec, req: Request): object {
  const errors: ProblemDetail[] = [];
  const parse = (name: string, schema: z.ZodType | undefined, given: unknown): unknown => {
    if (schema === undefined) return undefined;
    const result = schema.safeParse(given);
    if (result.success) return result.data;
    for (const { path, message } of result.error.issues) errors.push({ path: [name, ...path].join("."), message });
    return undefined;
  };
  if (spec.body !== undefined && req.body === undefined && !req.is("application/json")) {
    throw new Problem(415, "The body must be JSON", { detail: "Send it with Content-Type: application/json." });
  }
  const input = {
    path: parse("path", spec.path, req.params),
    query: parse("query", spec.query, req.query),
    body: parse("body", spec.body, req.body),
  };
  if (errors.length === 0) return input;
  throw new Problem(400, "The request is not as it should be", { errors });
}
