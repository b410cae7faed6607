import { z } from "zod";
import { BUZZBIP_EVENT_TYPES, buzzbipEventSchemas } from "./buzzbip.ts";
import { envelopeSchema } from "./envelope.ts";

/** One JSON Schema document, as a plain object that `JSON.stringify` writes out. */
export type JsonSchemaDocument = {
  $schema: string;
  title: string;
  description: string;
  anyOf: { $ref: string }[];
  $defs: Record<string, Record<string, unknown>>;
};

/**
 * The BuzzBip events as one JSON Schema document (draft 2020-12): it validates any of the eight events, and holds
 * `envelope` and each event under `$defs` by its type. Rules that JSON Schema cannot say (well-formed Unicode in ids,
 * the range of years) are left out, so it accepts slightly more than the zod schemas. Each call makes a new object.
 *
 * @example
 * await writeFile("buzzbip.schema.json", JSON.stringify(toJsonSchema(), null, 2));
 */
export function toJsonSchema(): JsonSchemaDocument {
  const $defs: JsonSchemaDocument["$defs"] = { envelope: toDefinition(envelopeSchema) };
  for (const type of BUZZBIP_EVENT_TYPES) $defs[type] = toDefinition(buzzbipEventSchemas[type]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "BuzzBip events",
    description: "A webhook event as BuzzBip sends it. Unknown fields are allowed everywhere.",
    anyOf: BUZZBIP_EVENT_TYPES.map((type) => ({ $ref: `#/$defs/${type}` })),
    $defs,
  };
}

function toDefinition(schema: z.ZodType): Record<string, unknown> {
  // `$schema` may only stand at the root of a document.
  const { $schema: _, ...definition } = z.toJSONSchema(schema, { io: "input", target: "draft-2020-12" });
  return definition;
}
