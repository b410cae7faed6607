import { z } from "zod";
import { ArchiveDamagedError } from "./event-file.ts";
import { type ArchiveStorage, readWhole } from "./storage.ts";

/** All that is archived of days. */
export const DAYS = "days/";
export const folderOf = (day: string): string => `${DAYS}${day}/`;
export const manifestOf = (day: string): string => `${folderOf(day)}manifest.json`;
/** The hash makes a part that is written anew another object. */
export const nameOfPart = (nth: number, sha256: string): string =>
  `part-${String(nth).padStart(5, "0")}-${sha256.slice(0, 16)}.ndjson.gz`;

const count = z.int().nonnegative();

const PART = z.object({
  name: z.string().regex(/^part-\d{5,}-[0-9a-f]{16}\.ndjson\.gz$/),
  events: count,
  bytes: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bodyBytes: count,
  firstSeq: count,
  lastSeq: count,
});

const MANIFEST = z.object({
  penstock: z.literal("archive"),
  version: z.literal(1),
  day: z.string().regex(/^\d{4}-\d\d-\d\d$/),
  events: count,
  /** Of all parts, compressed. */
  bytes: count,
  bodyBytes: count,
  writtenAt: z.string(),
  parts: z.array(PART),
});

export type Manifest = z.infer<typeof MANIFEST>;

export function toManifest(day: string, parts: Manifest["parts"], writtenAt: Date): Manifest {
  const sum = (of: "events" | "bytes" | "bodyBytes"): number => parts.reduce((total, part) => total + part[of], 0);
  return {
    penstock: "archive",
    version: 1,
    day,
    events: sum("events"),
    bytes: sum("bytes"),
    bodyBytes: sum("bodyBytes"),
    writtenAt: writtenAt.toISOString(),
    parts,
  };
}

/** Null: the day is not archived. A day without a manifest is not, whatever else lies there. @throws ArchiveDamagedError */
export async function readManifest(storage: ArchiveStorage, day: string): Promise<Manifest | null> {
  const bytes = await readWhole(storage, manifestOf(day));
  if (bytes === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString());
  } catch (error) {
    throw new ArchiveDamagedError(`the manifest of ${day} is no JSON`, { cause: error });
  }
  const read = MANIFEST.safeParse(json);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new ArchiveDamagedError(`the manifest of ${day}: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  if (read.data.day !== day) throw new ArchiveDamagedError(`the manifest of ${day} is that of ${read.data.day}`);
  return read.data;
}

export async function writeManifest(storage: ArchiveStorage, manifest: Manifest): Promise<void> {
  await storage.put(manifestOf(manifest.day), Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
}
