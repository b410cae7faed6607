import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ArchiveConfig } from "@penstock/schemas";
import { startS3 } from "@penstock/testing";
import { onTestFinished } from "vitest";

const local = { region: null, endpoint: null, pathStyle: null };
let bucket: Promise<Omit<ArchiveConfig, "url"> & { url: string }> | undefined;
let archives = 0;

/** Where tests archive: a place of its own for each test, by kind of storage. */
export const STORAGES: Readonly<Record<"a folder" | "S3", () => Promise<ArchiveConfig>>> = {
  async "a folder"() {
    const folder = await mkdtemp(join(tmpdir(), "penstock-archive-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    return { ...local, url: pathToFileURL(folder).href };
  },
  /** A server of these tests, or the one that TEST_S3_ENDPOINT and TEST_S3_BUCKET name, with the AWS variables for its keys. */
  async S3() {
    bucket ??= openBucket();
    const { url, ...config } = await bucket;
    archives++;
    return { ...config, url: `${url}/test-${process.pid}-${archives}` };
  },
};

async function openBucket(): Promise<ArchiveConfig> {
  const { TEST_S3_ENDPOINT: endpoint, TEST_S3_BUCKET: name } = process.env;
  if (endpoint !== undefined && name !== undefined) return { ...local, endpoint, url: `s3://${name}` };
  const server = await startS3();
  Object.assign(process.env, server.env);
  return { ...local, endpoint: server.endpoint, url: `s3://${server.bucket}` };
}
