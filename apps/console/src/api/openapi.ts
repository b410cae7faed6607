import type { Routes, RouteSpec } from "@penstock/schemas/admin";
import { z } from "zod";

type Json = Record<string, unknown>;

const problem = {
  description: "A problem (RFC 9457)",
  content: {
    "application/problem+json": {
      schema: {
        type: "object",
        required: ["type", "title", "status"],
        properties: {
          type: { type: "string" },
          title: { type: "string", description: "what is wrong" },
          status: { type: "integer" },
          detail: { type: "string", description: "what to do about it" },
          errors: {
            type: "array",
            items: {
              type: "object",
              properties: { path: { type: "string" }, message: { type: "string" } },
              required: ["path", "message"],
            },
          },
        },
      },
    },
  },
};

/** The description of the admin API in OpenAPI 3.1, made of its tables of routes. */
export function toOpenApi(routes: Routes, version: string): Json {
  const paths: Record<string, Json> = {};
  for (const [key, spec] of Object.entries(routes)) {
    const [method = "", path = ""] = key.split(" ");
    (paths[path] ??= {})[method.toLowerCase()] = toOperation(method, path, spec);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Penstock admin API",
      version,
      license: { name: "MIT", identifier: "MIT" },
      description:
        "What the console does, for programs: with an API token, `Authorization: Bearer pst_…`. Times are ISO 8601. Lists are read page by page: `next` of one is `cursor` of the next. A write with an `Idempotency-Key` is done once, however often it is sent within a day.",
    },
    servers: [{ url: "." }],
    security: [{ token: [] }],
    paths,
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
  };
}

function toOperation(method: string, path: string, spec: RouteSpec): Json {
  const write = method !== "GET" && spec.role !== "anyone";
  const parameters = [
    ...toParameters("path", spec.path),
    ...toParameters("query", spec.query),
    ...(write
      ? [{ name: "Idempotency-Key", in: "header", required: false, schema: { type: "string", maxLength: 255 } }]
      : []),
  ];
  return {
    operationId: toOperationId(method, path),
    tags: [path.split("/")[1]],
    summary: spec.summary,
    description: describeRights(spec),
    ...(spec.role === "anyone" && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(spec.body && {
      requestBody: { required: true, content: { "application/json": { schema: toSchema(spec.body, "input") } } },
    }),
    responses: { [spec.response === null ? "204" : "200"]: toResponse(spec), default: problem },
  };
}

function toResponse({ response, stream }: RouteSpec): Json {
  if (response === null) return { description: "Done" };
  const type = stream === "events" ? "text/event-stream" : stream === "raw" ? "*/*" : "application/json";
  return { description: "Done", content: { [type]: { schema: toSchema(response, "output") } } };
}

function toParameters(place: "path" | "query", schema: z.ZodObject | undefined): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = toSchema(schema, "input") as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property;
    return {
      name,
      in: place,
      required: required.includes(name),
      ...(description !== undefined && { description }),
      schema: rest,
    };
  });
}

/** `GET /events/{id}` → `getEventsId` */
function toOperationId(method: string, path: string): string {
  const words = path.match(/\w+/g) ?? [];
  return [method.toLowerCase(), ...words.map((word) => word.charAt(0).toUpperCase() + word.slice(1))].join("");
}

function describeRights({ role, payloads }: RouteSpec): string {
  if (role === "anyone") return "Needs no credentials.";
  return `Takes the role ${role}${payloads === "needed" ? ", and to be allowed to see payloads" : ""}.`;
}

function toSchema(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    target: "draft-2020-12",
  }) as Json;
  return rest;
}
