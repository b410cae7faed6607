import type { S3Client } from "@aws-sdk/client-s3";
import type { ArchiveConfig } from "@penstock/schemas";
import { type ArchiveStorage, ArchiveUnavailableError, type StoredObject } from "./storage.ts";

/** Longer than any server that works takes to begin an answer. */
const ANSWER_MS = 60_000;

/**
 * Archives in a bucket of S3, or of what speaks as S3 does. Objects are put whole: there is no multipart upload that a crash could
 * leave behind, and the client can send one again. Credentials are found as by every AWS program (environment, profile, role).
 */
export async function openS3Storage(config: ArchiveConfig): Promise<ArchiveStorage> {
  // Here, so that whoever has no archive in a bucket does not load it.
  const s3 = await import("@aws-sdk/client-s3");
  const { url, endpoint } = config;
  const { hostname: bucket, pathname } = new URL(url);
  const prefix = pathname.replace(/^\/+|\/+$/g, "");
  const keyOf = (name: string): string => (prefix === "" ? name : `${prefix}/${name}`);
  const region = config.region ?? (endpoint === null ? null : "us-east-1");
  const client: S3Client = new s3.S3Client({
    ...(region !== null && { region }),
    ...(endpoint !== null && { endpoint }),
    forcePathStyle: config.pathStyle ?? endpoint !== null,
    // Servers other than AWS's know no newer checksums; the manifest has a SHA-256 of its own, which is checked on the way back.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: 10_000, socketTimeout: ANSWER_MS },
    maxAttempts: 4,
  });

  async function attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw new ArchiveUnavailableError(describe(error), { cause: error });
    }
  }

  function describe(error: unknown): string {
    const { name = "", message = "" } = error as Partial<Error>;
    const at = `the archive at ${url}${endpoint === null ? "" : ` (${endpoint})`}`;
    if (name === "NoSuchBucket")
      return `${at} cannot be used: there is no bucket ${bucket}. Make it, or correct ARCHIVE_URL`;
    if (name === "CredentialsProviderError") {
      return `${at} cannot be used: there are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the process a role`;
    }
    if (/region is missing/i.test(message)) return `${at} cannot be used: set ARCHIVE_S3_REGION`;
    if (["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "403"].includes(name)) {
      return `${at} refused: ${name}. The credentials need s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject there`;
    }
    return `${at} cannot be used: ${[name, message].filter((text) => text !== "").join(": ")}`;
  }

  return {
    url,
    async put(name, bytes) {
      const ContentType = name.endsWith(".json") ? "application/json" : "application/gzip";
      await attempt(() =>
        client.send(new s3.PutObjectCommand({ Bucket: bucket, Key: keyOf(name), Body: bytes, ContentType })),
      );
    },
    async read(name) {
      try {
        const { Body } = await client.send(new s3.GetObjectCommand({ Bucket: bucket, Key: keyOf(name) }));
        return told(Body as AsyncIterable<Buffer>, describe);
      } catch (error) {
        if (["NoSuchKey", "NotFound"].includes((error as Partial<Error>).name ?? "")) return null;
        throw new ArchiveUnavailableError(describe(error), { cause: error });
      }
    },
    async list(under) {
      const objects: StoredObject[] = [];
      for (let token: string | undefined; ;) {
        const page = await attempt(() =>
          client.send(
            new s3.ListObjectsV2Command({
              Bucket: bucket,
              Prefix: keyOf(under),
              ...(token !== undefined && { ContinuationToken: token }),
            }),
          ),
        );
        for (const { Key = "", Size = 0 } of page.Contents ?? []) {
          objects.push({ name: Key.slice(keyOf("").length), bytes: Size });
        }
        token = page.NextContinuationToken;
        if (token === undefined) return objects.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      }
    },
    async delete(name) {
      await attempt(() => client.send(new s3.DeleteObjectCommand({ Bucket: bucket, Key: keyOf(name) })));
    },
    close: () => client.destroy(),
  };
}

/** The same bytes; a connection that breaks on the way says where it led. */
async function* told(chunks: AsyncIterable<Buffer>, describe: (error: unknown) => string): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } catch (error) {
    throw new ArchiveUnavailableError(describe(error), { cause: error });
  }
}
