import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { type IngestConfig, type ListedSources, parseIngestConfig } from "./ingest-config.ts";
import { type Environment, withSecretFiles } from "./secret-files.ts";
import { parseWorkerConfig } from "./worker-config.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-secrets-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const DATABASE_URL = "postgres://penstock:pw@127.0.0.1:5432/penstock";
const DATABASE_URL_FILE = file("database-url", `${DATABASE_URL}\n`);
const sources: ListedSources = {
  list: [
    {
      name: "buzzbip",
      secretsFrom: "BUZZBIP_SIGNING_SECRETS",
      verifyTokensFrom: null,
      source: { checkSecret: () => null },
    },
  ],
  problems: [],
};
const parseIngest = (environment: Environment): IngestConfig => parseIngestConfig(environment, sources);

const BUZZBIP_SIGNING_SECRETS = "first_of_sixteen_bytes\nsecond_of_sixteen_bytes";

function problemsOf(parse: () => unknown): readonly string[] {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  }
  return [];
}

test("each secret can be given as a file", () => {
  const config = parseIngest({
    DATABASE_URL_FILE,
    QUEUE_URL_FILE: file("queue-url", "redis://:pw@127.0.0.1:6379"),
    BUZZBIP_SIGNING_SECRETS_FILE: file("secrets", `${BUZZBIP_SIGNING_SECRETS}\r\n`),
  });
  expect(config).toMatchObject({
    databaseUrl: DATABASE_URL,
    queue: { kind: "redis", url: "redis://:pw@127.0.0.1:6379" },
    secrets: { buzzbip: ["first_of_sixteen_bytes", "second_of_sixteen_bytes"] },
  });
});

test("newlines at the end are no part of a value, other blanks are", () => {
  const path = file("blanks", " a value with blanks \n\n");
  expect(withSecretFiles({ BUZZBIP_SIGNING_SECRETS_FILE: path })).toEqual({
    BUZZBIP_SIGNING_SECRETS: " a value with blanks ",
  });
});

test("a variable and its file that are both set are a problem, even when they agree", () => {
  expect(problemsOf(() => parseWorkerConfig({ DATABASE_URL, DATABASE_URL_FILE }))).toEqual([
    expect.stringMatching(/^DATABASE_URL and DATABASE_URL_FILE are both set/),
  ]);
});

test("a variable or a file that is set to nothing counts as not set", () => {
  expect(parseWorkerConfig({ DATABASE_URL: "", DATABASE_URL_FILE }).databaseUrl).toBe(DATABASE_URL);
  expect(parseWorkerConfig({ DATABASE_URL, DATABASE_URL_FILE: "" }).databaseUrl).toBe(DATABASE_URL);
});

test("a file that cannot be read is named with its path, and told once only", () => {
  mkdirSync(join(folder, "directory"));
  expect(
    problemsOf(() =>
      parseIngest({
        DATABASE_URL_FILE: join(folder, "missing"),
        QUEUE_URL_FILE: join(folder, "directory"),
        BUZZBIP_SIGNING_SECRETS_FILE: file("empty", "\n"),
      }),
    ),
  ).toEqual([
    `DATABASE_URL_FILE names ${join(folder, "missing")}, which this user cannot read (ENOENT)`,
    `QUEUE_URL_FILE names ${join(folder, "directory")}, which this user cannot read (EISDIR)`,
    `BUZZBIP_SIGNING_SECRETS_FILE names ${join(folder, "empty")}, which is empty`,
  ]);
});

test("a file's problem is told together with all others, and never by the file's content", () => {
  const problems = problemsOf(() =>
    parseIngest({
      DATABASE_URL_FILE: join(folder, "missing"),
      QUEUE_URL_FILE: file("wrong", "amqp://CANARY"),
      INGEST_PORT: "many",
      BUZZBIP_SIGNING_SECRETS,
    }),
  );
  expect(problems.map((problem) => String(problem.split(" ")[0])).toSorted()).toEqual([
    "DATABASE_URL_FILE",
    "INGEST_PORT",
    "QUEUE_URL",
  ]);
  expect(problems.join()).not.toContain("CANARY");
});

test("a value where its file's path belongs is not repeated", () => {
  const problems = problemsOf(() => parseWorkerConfig({ DATABASE_URL_FILE: "postgres://user:CANARY@host/db" }));
  expect(problems).toEqual([expect.stringMatching(/^DATABASE_URL_FILE must be the path/)]);
  expect(problems.join()).not.toContain("CANARY");
});

test("a file for what a process does not read is not looked at", () => {
  const environment = { DATABASE_URL, BUZZBIP_SIGNING_SECRETS_FILE: join(folder, "missing") };
  expect(parseWorkerConfig(environment).databaseUrl).toBe(DATABASE_URL);
});

test("what is handed on holds the values and no files, and all else as it was", () => {
  expect(withSecretFiles({ DATABASE_URL_FILE, LOG_LEVEL: "warn", OTHER_FILE: "/x" })).toEqual({
    DATABASE_URL,
    LOG_LEVEL: "warn",
    OTHER_FILE: "/x",
  });
});

test("handing on fails with every file's problem at once", () => {
  const missing = join(folder, "missing");
  expect(problemsOf(() => withSecretFiles({ DATABASE_URL_FILE: missing, QUEUE_URL_FILE: missing }))).toHaveLength(2);
});
