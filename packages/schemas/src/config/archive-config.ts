import { z } from "zod";
import { deepFreeze } from "./deep-freeze.ts";
import { parseEnvironment } from "./parse-environment.ts";
import type { Environment } from "./secret-files.ts";

/** Where days are archived before they go. It holds no secrets: credentials are found as by every AWS program. */
export type ArchiveConfig = {
  /** `file:///path` or `s3://bucket/prefix`, without a slash at the end. */
  readonly url: string;
  /** Null: that of the environment, `us-east-1` where there is an endpoint. */
  readonly region: string | null;
  /** Of a server other than AWS's; null: AWS. */
  readonly endpoint: string | null;
  /** Whether the bucket stands in the path; null: where there is an endpoint. */
  readonly pathStyle: boolean | null;
};

const url = z
  .string()
  .optional()
  .transform((text, context): string | null => {
    if (text === undefined) return null;
    const trimmed = text.trim().replace(/\/+$/, "");
    if (/^file:\/\/\/[^?#]+$/.test(trimmed)) return trimmed;
    if (/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[^?#\s]*)?$/.test(trimmed)) return trimmed;
    context.addIssue(
      "must be s3://bucket/prefix or file:///path/of/a/folder, without credentials; unset it to delete days without an archive",
    );
    return z.NEVER;
  });

/** The variables that say where days are archived. */
export const archiveVariables = {
  ARCHIVE_URL: url,
  ARCHIVE_S3_REGION: z.string().optional(),
  ARCHIVE_S3_ENDPOINT: z
    .string()
    .optional()
    .refine((text) => text === undefined || (/^https?:\/\/[^?#\s@]+$/.test(text) && URL.canParse(text)), {
      error: "must be the address of an S3 server, e.g. https://minio.example.com:9000, without the bucket",
    }),
  ARCHIVE_S3_PATH_STYLE: z
    .enum(["0", "1"], { error: "must be 1 (the bucket stands in the path) or 0 (in the name of the host)" })
    .optional(),
} as const;

type Values = Readonly<z.output<z.ZodObject<typeof archiveVariables>>>;

/** Null: archiving is off. */
export function toArchiveConfig(values: Values): ArchiveConfig | null {
  const { ARCHIVE_URL, ARCHIVE_S3_REGION, ARCHIVE_S3_ENDPOINT, ARCHIVE_S3_PATH_STYLE } = values;
  if (ARCHIVE_URL === null) return null;
  return {
    url: ARCHIVE_URL,
    region: ARCHIVE_S3_REGION ?? null,
    endpoint: ARCHIVE_S3_ENDPOINT ?? null,
    pathStyle: ARCHIVE_S3_PATH_STYLE === undefined ? null : ARCHIVE_S3_PATH_STYLE === "1",
  };
}

/** Reads where days are archived. @throws {ConfigError} with every problem at once, never with a value. */
export function parseArchiveConfig(environment: Environment): ArchiveConfig | null {
  return deepFreeze(toArchiveConfig(parseEnvironment(archiveVariables, environment)));
}
