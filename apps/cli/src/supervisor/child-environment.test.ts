import { ConfigError } from "@penstock/schemas";
import { buzzbip, defineSources } from "@penstock/sources";
import { expect, test } from "vitest";
import { parseChildConfigs, toChildEnvironment } from "./child-environment.ts";

const sources = defineSources({ buzzbip: buzzbip() });
const provided = {
  databaseUrl: "postgres://embedded",
  secret: "a-secret-that-is-made",
  masterKey: "A".repeat(43) + "=",
  refusedFolder: "/home/refused",
};

test("start provides a database, a secret and an address of this machine only", () => {
  const { ingest, worker } = parseChildConfigs(
    toChildEnvironment({ DATABASE_URL: "", INGEST_HOST: "" }, provided),
    sources,
  );
  expect(ingest).toMatchObject({
    host: "127.0.0.1",
    secrets: { buzzbip: [provided.secret] },
    refused: { folder: provided.refusedFolder },
  });
  expect([ingest.databaseUrl, worker.databaseUrl]).toEqual([provided.databaseUrl, provided.databaseUrl]);
  // Endpoints on this machine are for development, and so is a database that is thrown in.
  expect(worker.outbound).toMatchObject({ masterKeys: provided.masterKey, allow: ["127.0.0.0/8", "::1/128"] });
});

test("what the environment says goes before what start provides", () => {
  const env = { DATABASE_URL: "postgres://mine", BUZZBIP_SIGNING_SECRETS: "mine-and-long-enough", INGEST_HOST: "::1" };
  const { ingest, worker } = parseChildConfigs(toChildEnvironment(env, provided), sources);
  expect(worker.outbound.allow).toEqual([]);
  expect(ingest).toMatchObject({
    databaseUrl: env.DATABASE_URL,
    host: "::1",
    secrets: { buzzbip: ["mine-and-long-enough"] },
  });
});

test("the problems of ingest and worker are told together, those of both once", () => {
  const env = { LOG_LEVEL: "loud", INGEST_PORT: "x", WORKER_CONCURRENCY: "0", BUZZBIP_SIGNING_SECRETS: "" };
  const parse = () => parseChildConfigs(toChildEnvironment(env, provided), sources);
  expect(parse).toThrow(ConfigError);
  expect(parse).toThrow(/4 problems(?=[^]*INGEST_PORT)(?=[^]*SECRETS is empty)(?=[^]*LOG_LEVEL)(?=[^]*CONCURRENCY)/);
});
