import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atFileEnd } from "./file-end.ts";

/** s3rver: a server that speaks S3 over HTTP and keeps objects in files. It has no types. */
type S3rver = new (options: {
  readonly port: number;
  readonly address: string;
  readonly silent: boolean;
  readonly allowMismatchedSignatures: boolean;
  readonly directory: string;
  readonly configureBuckets: readonly { readonly name: string }[];
}) => { run(): Promise<AddressInfo>; close(): Promise<void> };

/** A server of a test's own, with a bucket `archive`. */
export interface TestS3 {
  readonly endpoint: string;
  readonly bucket: string;
  /** What a client needs in its environment. */
  readonly env: Readonly<Record<"AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY", string>>;
}

const BUCKET = "archive";

/** Starts it on loopback; it ends with the file of tests. */
export async function startS3(): Promise<TestS3> {
  const directory = await mkdtemp(join(tmpdir(), "penstock-s3-"));
  const require = createRequire(import.meta.url);
  const Server = require("@20minutes/s3rver") as S3rver;
  const server = new Server({
    port: 0,
    address: "127.0.0.1",
    silent: true,
    // Its idea of the path of a bucket is not the client's (/archive, /archive/), so that signatures of listings differ.
    allowMismatchedSignatures: true,
    directory,
    configureBuckets: [{ name: BUCKET }],
  });
  const { port } = await server.run();
  atFileEnd(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bucket: BUCKET,
    env: { AWS_ACCESS_KEY_ID: "S3RVER", AWS_SECRET_ACCESS_KEY: "S3RVER" },
  };
}
