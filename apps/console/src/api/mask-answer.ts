import { maskings } from "@penstock/schemas/admin";
import { z } from "zod";

/** An answer as those see it who may not see payloads: texts that may quote one are masked as their schemas say. */
export function maskAnswer(schema: z.core.$ZodType, answer: unknown): unknown {
  return maskValue(schema, answer, {});
}

function maskValue(schema: z.core.$ZodType, value: unknown, beside: Readonly<Record<string, unknown>>): unknown {
  if (value === null || value === undefined) return value;
  const masking = maskings.get(schema);
  if (masking !== undefined) return typeof value === "string" ? masking.mask(value, beside) : value;
  if (schema instanceof z.ZodNullable || schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return maskValue(schema.unwrap(), value, beside);
  }
  if (schema instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((item) => maskValue(schema.element, item, beside));
  }
  if (schema instanceof z.ZodUnion) {
    const option = schema.options.find((one) => z.safeParse(one, value).success);
    return option === undefined ? value : maskValue(option, value, beside);
  }
  if (typeof value !== "object") return value;
  const fields = value as Record<string, unknown>;
  const schemaOf = (name: string): z.core.$ZodType | undefined =>
    schema instanceof z.ZodObject
      ? (schema.shape as Record<string, z.core.$ZodType>)[name]
      : schema instanceof z.ZodRecord
        ? schema.valueType
        : undefined;
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => {
      const of = schemaOf(name);
      return [name, of === undefined ? field : maskValue(of, field, fields)];
    }),
  );
}
