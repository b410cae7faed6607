import { describe, expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { type IngestConfig, type ListedSources, parseIngestConfig } from "./ingest-config.ts";
import type { Environment } from "./secret-files.ts";
import { parseStoreConfig } from "./store-config.ts";
import { parseWorkerConfig } from "./worker-config.ts";

const DATABASE_URL = "postgres://penstock:pw@127.0.0.1:5432/penstock";
const BUZZBIP_SIGNING_SECRETS = "whsec_0123456789abcdef";
const required = { DATABASE_URL, BUZZBIP_SIGNING_SECRETS };

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

function problemsOf(parse: () => unknown): readonly string[] {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  }
  return [];
}

describe("defaults", () => {
  test("ingest needs a database and a secret, the rest is set", () => {
    expect(parseIngest(required)).toEqual({
      port: 8080,
      host: "0.0.0.0",
      internal: { host: "127.0.0.1", port: 9464, orAnyPort: true },
      maxBodyBytes: 1_048_576,
      addressRatePerSecond: 1_000,
      sourceRatePerSecond: 0,
      trustProxyHops: 0,
      bodyMemoryBytes: 268_435_456,
      maxWaitingEvents: 20_000,
      refused: null,
      dedupeWindowDays: 400,
      shutdownMs: 10_000,
      logLevel: "info",
      databaseUrl: DATABASE_URL,
      queue: { kind: "postgres" },
      secrets: { buzzbip: [BUZZBIP_SIGNING_SECRETS] },
      verifyTokens: {},
      withoutSecrets: {},
      masterKeys: null,
      warnings: [],
    });
  });

  test("a worker needs a database, the rest is set", () => {
    expect(parseWorkerConfig({ DATABASE_URL })).toEqual({
      databaseUrl: DATABASE_URL,
      queue: { kind: "postgres" },
      internal: { host: "127.0.0.1", port: 9465, orAnyPort: true },
      configPath: null,
      sourcesPath: null,
      effectHandlers: null,
      concurrency: 2,
      batchEvents: 500,
      lockMs: 20_000,
      outbound: { masterKeys: null, allow: [], ports: [443, 8443] },
      notify: { webhooks: [], mail: null, digestMs: 600_000, consoleUrl: null },
      retention: { days: 30, bytes: null, dedupeWindowDays: 400 },
      archive: null,
      watchdogMs: 30_000,
      shutdownMs: 10_000,
      logLevel: "info",
    });
  });

  test("a command needs a database", () => {
    expect(parseStoreConfig({ DATABASE_URL })).toEqual({ databaseUrl: DATABASE_URL, queue: { kind: "postgres" } });
  });

  test("a variable that is set to nothing counts as not set", () => {
    const set = parseWorkerConfig({ DATABASE_URL, QUEUE_URL: "", LOG_LEVEL: "", WATCHDOG_MS: "", PENSTOCK_CONFIG: "" });
    expect(set).toEqual(parseWorkerConfig({ DATABASE_URL }));
    expect(problemsOf(() => parseStoreConfig({ DATABASE_URL: "" }))).toEqual([
      expect.stringMatching(/^DATABASE_URL is required/),
    ]);
  });
});

test("what is set is what is in force", () => {
  const environment = {
    ...required,
    INGEST_PORT: "0",
    INGEST_HOST: "::1",
    MAX_BODY_BYTES: "2048",
    LOG_LEVEL: "silent",
    INGEST_TRUST_PROXY: "1",
    PENSTOCK_CONFIG: "./penstock.config.ts",
    WATCHDOG_MS: "0",
    WORKER_CONCURRENCY: "4",
    INTERNAL_HOST: "0.0.0.0",
    INGEST_INTERNAL_PORT: "9464",
    WORKER_INTERNAL_PORT: "0",
  };
  expect(parseIngest(environment)).toMatchObject({
    port: 0,
    host: "::1",
    maxBodyBytes: 2_048,
    logLevel: "silent",
    trustProxyHops: 1,
    // The usual port, but asked for: no other will do.
    internal: { host: "0.0.0.0", port: 9464, orAnyPort: false },
  });
  expect(parseWorkerConfig(environment)).toMatchObject({
    configPath: "./penstock.config.ts",
    watchdogMs: 0,
    concurrency: 4,
    internal: { host: "0.0.0.0", port: 0, orAnyPort: false },
  });
});

test("a configuration is frozen through and through", () => {
  const config = parseIngest({ ...required, QUEUE_URL: "redis://127.0.0.1" });
  for (const part of [config, config.queue, config.secrets, config.secrets["buzzbip"], config.warnings]) {
    expect(Object.isFrozen(part)).toBe(true);
  }
});

describe("QUEUE_URL", () => {
  test.each([
    ["redis://127.0.0.1:6379/2", "redis"],
    ["rediss://user:pw@cache.example.com:6380", "redis"],
    ["postgres://127.0.0.1/queue", "postgres"],
    ["postgresql://127.0.0.1/queue", "postgres"],
  ])("%s is a queue on %s", (url, kind) => {
    expect(parseStoreConfig({ DATABASE_URL, QUEUE_URL: url }).queue).toEqual({ kind, url });
  });

  test.each(["amqp://127.0.0.1", "127.0.0.1:6379", "redis:", "redis", "redis://a b", "redis+nonsense://a"])(
    "%s is a problem",
    (url) => {
      expect(problemsOf(() => parseStoreConfig({ DATABASE_URL, QUEUE_URL: url }))).toEqual([
        expect.stringMatching(/^QUEUE_URL must be a URL that starts with redis:/),
      ]);
    },
  );

  test.each(["redis+sentinel://a:26379/mymaster", "redis+cluster://a:6379"])(
    "%s is named as not supported yet",
    (url) => {
      expect(problemsOf(() => parseStoreConfig({ DATABASE_URL, QUEUE_URL: url }))).toEqual([
        expect.stringContaining("not supported yet"),
      ]);
    },
  );
});

describe("the URL of a Postgres", () => {
  const password = "s3cr3t";

  test.each([
    `postgres://user:${password}@/db?host=/cloudsql/project:region:instance`,
    `postgres://user:${password}@/db?host=/run/postgresql&port=5433`,
    "postgresql:///db?host=/var/run/postgresql",
    "postgres:///db",
    "postgres://%2Fvar%2Frun%2Fpostgresql/db",
    `postgres://user:${password}@%2Fvar%2Frun%2Fpostgresql:5433/db`,
    "socket:/run/postgresql?db=db",
    `socket://user:${password}@/run/postgresql?db=db&encoding=utf8`,
    "postgres://[::1]:5432/db",
    `postgres://user:${password}%20%2F%23@db.example.com/db?sslmode=require`,
    `postgres://user:${password} with a space@db.example.com/db`,
    `postgres://db.example.com/db?user=user&password=${password}&port=5433`,
    ...["true", "1", "0", "no-verify"].map((ssl) => `postgres://db.example.com/db?ssl=${ssl}`),
    "postgres://db.example.com/db?sslmode=require&uselibpqcompat=true",
    "postgres://db.example.com/db?sslnegotiation=direct",
    `postgres://db.example.com/db?sslmode=verify-full&sslrootcert=${import.meta.filename}`,
  ])("%s is taken, also for the queue", (url) => {
    expect(parseStoreConfig({ DATABASE_URL: url, QUEUE_URL: url })).toEqual({
      databaseUrl: url,
      queue: { kind: "postgres", url },
    });
  });

  test("a newline at the end, as secrets of orchestrators have it, is none of it", () => {
    const url = "postgres://db.example.com/db";
    expect(parseStoreConfig({ DATABASE_URL: `${url}\n`, QUEUE_URL: "redis://redis.example.com\n" })).toEqual({
      databaseUrl: url,
      queue: { kind: "redis", url: "redis://redis.example.com" },
    });
  });

  test.each([
    [`mysql://${password}@a/b`, /^must be a URL that starts with postgres:/],
    [password, /^must be a URL that starts with postgres:/],
    [`postgres:/${password}/b`, /^must be a URL that starts with postgres:/],
    [`postgres://${password}\n@host/db`, /^must be a URL that starts with postgres:/],
    [`postgres://user:${password}#ss@host/db`, /percent-encode/],
    [`postgres://user:${password}%e4@host/db`, /percent-encode/],
    [`postgres://user:${password}@host:99999/db`, /percent-encode/],
    [`postgres://user:${password}@/db?host=/run&port=abc`, /^names a port that is none/],
    [
      `postgres://user:${password}@host/db?sslrootcert=/no/such.pem`,
      /^names the file \/no\/such.pem for TLS, which this user cannot read \(ENOENT\)$/,
    ],
    [`postgres://user:${password}@host/db?sslmode=verify-ca&uselibpqcompat=true`, /^cannot be used: .*sslrootcert/],
  ])("%s is a problem, and the password is not told", (url, problem) => {
    const problems = problemsOf(() => parseStoreConfig({ DATABASE_URL: url, QUEUE_URL: url }));
    const [ofDatabase = "", ofQueue = ""] = problems;
    expect(problems).toHaveLength(2);
    expect(ofDatabase.replace(/^DATABASE_URL /, "")).toMatch(problem);
    expect(ofQueue).toMatch(/^QUEUE_URL /);
    expect(problems.join()).not.toContain(password);
  });
});

describe("BUZZBIP_SIGNING_SECRETS", () => {
  const parse = (secrets: string) => parseIngest({ DATABASE_URL, BUZZBIP_SIGNING_SECRETS: secrets });

  const two = ["first_of_sixteen_bytes", "second_of_sixteen_bytes"];

  test.each([
    ["one per line", two.join("\n")],
    ["one per line, with blanks and empty lines between", ` ${two.join(" \r\n\r\n ")}\n`],
    ["a JSON list", ` ${JSON.stringify(two)} `],
  ])("several secrets are %s, in order", (_, text) => {
    const { secrets, warnings } = parse(text);
    expect(secrets["buzzbip"]).toEqual(two);
    expect(warnings).toEqual([]);
  });

  test("a secret that holds commas is one secret, and whoever meant several is told how to write them", () => {
    const { secrets, warnings } = parse("secret,with,commas_1234567");
    expect(secrets["buzzbip"]).toEqual(["secret,with,commas_1234567"]);
    expect(warnings).toEqual([expect.stringMatching(/^BUZZBIP_SIGNING_SECRETS holds a comma .* one per line/)]);
    expect(warnings.join()).not.toContain("commas_1234567");
    const meant = parse('["secret,with,commas_1234567"]');
    expect(meant).toMatchObject({ secrets: { buzzbip: ["secret,with,commas_1234567"] }, warnings: [] });
  });

  test("a secret that begins as a JSON list does and is none is taken as it stands, with a warning", () => {
    const { secrets, warnings } = parse('["first_of_sixteen_bytes"');
    expect(secrets["buzzbip"]).toEqual(['["first_of_sixteen_bytes"']);
    expect(warnings).toEqual([expect.stringMatching(/begins as a JSON list/)]);
  });

  test.each(["", "  ", "\n", "[]", '["", " "]'])("none at all is refused: %j", (secrets) => {
    expect(problemsOf(() => parse(secrets))).toEqual([expect.stringContaining("is empty")]);
  });

  test("one that is not set is told apart from an empty one: the database may have it", () => {
    const { secrets, withoutSecrets } = parseIngest({ DATABASE_URL });
    expect({ secrets, withoutSecrets }).toEqual({
      secrets: { buzzbip: [] },
      withoutSecrets: { buzzbip: expect.stringMatching(/^BUZZBIP_SIGNING_SECRETS is required/) },
    });
    expect(parseIngest(required).withoutSecrets).toEqual({});
  });

  test("a short one is warned about by its position, counted in bytes, never by its value", () => {
    const { warnings } = parse("ééééééé§\nfifteen_bytes_x\nhunter2");
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain("position 2 of 3");
    expect(warnings[1]).toContain("position 3 of 3");
    expect(warnings.join()).not.toMatch(/fifteen|hunter2/);
  });
});

describe("numbers", () => {
  test.each(["12abc", "1e3", "-1", "+1", "1.5", "0x10", " 1", "01", "NaN", "99999999999999999999", "65536"])(
    "INGEST_PORT = %j is a problem, not a guess",
    (port) => {
      expect(problemsOf(() => parseIngest({ ...required, INGEST_PORT: port }))).toEqual([
        "INGEST_PORT must be a whole number from 1 to 65535, or 0 (any free port)",
      ]);
    },
  );

  test.each([
    ["MAX_BODY_BYTES", "1023"],
    ["MAX_BODY_BYTES", "67108865"],
    ["MAX_BODY_BYTES", "0"],
    ["INGEST_MAX_WAITING", "0"],
    ["DEDUPE_WINDOW_DAYS", "0"],
  ])("%s = %s is out of range", (name, value) => {
    expect(problemsOf(() => parseIngest({ ...required, [name]: value }))).toEqual([
      expect.stringMatching(`^${name} must be a whole number from`),
    ]);
  });

  test.each([
    ["MAX_BODY_BYTES", "1024"],
    ["MAX_BODY_BYTES", "67108864"],
    ["INGEST_PORT", "65535"],
    ["INGEST_ADDRESS_RATE", "0"],
  ])("%s = %s is still in range", (name, value) => {
    expect(problemsOf(() => parseIngest({ ...required, [name]: value }))).toEqual([]);
  });
});

test.each([
  ["50GiB", 50 * 2 ** 30],
  ["500 MiB", 500 * 2 ** 20],
  ["1048576", 2 ** 20],
  ["0", null],
])("RETENTION_BYTES = %s is a size", (text, bytes) => {
  expect(parseWorkerConfig({ DATABASE_URL, RETENTION_BYTES: text }).retention.bytes).toBe(bytes);
});

test.each(["50GB", "1.5GiB", "-1", "1000", "99999999999999TiB"])("RETENTION_BYTES = %s is refused", (text) => {
  expect(problemsOf(() => parseWorkerConfig({ DATABASE_URL, RETENTION_BYTES: text }))).toEqual([
    expect.stringMatching(/^RETENTION_BYTES must be a size of 1 MiB or more, e.g. 50GiB/),
  ]);
});

test.each([
  [
    "PENSTOCK_MASTER_KEY",
    ["CANARY", "a,b", "A".repeat(43), `${"A".repeat(43)}=,`.replace(",", ",CANARY")],
    /32 random bytes in base64/,
  ],
  ["OUTBOUND_ALLOW", ["10.0.0.0", "10.0.0.0/33", "all", "fd00::/129"], /ranges of addresses/],
  ["OUTBOUND_PORTS", ["0", "https", "443;80"], /must be ports/],
])("%s is checked", (name, values, problem) => {
  for (const value of values) {
    expect(problemsOf(() => parseWorkerConfig({ DATABASE_URL, [name]: value }))).toEqual([
      expect.stringMatching(problem),
    ]);
  }
});

test("endpoints can be anywhere that is listed, and several master keys open secrets", () => {
  const keys = [1, 2].map((n) => Buffer.alloc(32, n).toString("base64")).join(",");
  const env = { PENSTOCK_MASTER_KEY: keys, OUTBOUND_ALLOW: "10.0.0.0/8, fd00::/8", OUTBOUND_PORTS: "443" };
  expect(parseWorkerConfig({ DATABASE_URL, ...env }).outbound).toEqual({
    masterKeys: keys,
    allow: ["10.0.0.0/8", "fd00::/8"],
    ports: [443],
  });
});

test("who is told of issues is checked, and a mail needs a server and somebody who gets it", () => {
  const env = {
    NOTIFY_SLACK_URL: "https://hooks.example.com/a",
    NOTIFY_TEAMS_URL: "https://hooks.example.com/b",
    NOTIFY_SMTP_URL: "smtp://mail.example.com",
    NOTIFY_MAIL_TO: "ada@example.com, ops@example.com",
    NOTIFY_DIGEST_MINUTES: "0",
    CONSOLE_URL: "https://penstock.example.com/console/",
  };
  expect(parseWorkerConfig({ DATABASE_URL, ...env }).notify).toEqual({
    webhooks: [
      { channel: "slack", url: "https://hooks.example.com/a", format: "text" },
      { channel: "teams", url: "https://hooks.example.com/b", format: "card" },
    ],
    mail: {
      smtpUrl: "smtp://mail.example.com",
      from: "Penstock <penstock@localhost>",
      to: ["ada@example.com", "ops@example.com"],
    },
    digestMs: 0,
    consoleUrl: "https://penstock.example.com/console",
  });
  expect(parseWorkerConfig({ DATABASE_URL, NOTIFY_SMTP_URL: "smtp://a" }).notify.mail).toBeNull();
  for (const [name, value] of [
    ["NOTIFY_SLACK_URL", "hooks.example.com"],
    ["NOTIFY_SMTP_URL", "mail.example.com:25"],
    ["NOTIFY_MAIL_TO", "ada"],
    ["NOTIFY_DIGEST_MINUTES", "1.5"],
    ["CONSOLE_URL", "console"],
  ] as const) {
    expect(problemsOf(() => parseWorkerConfig({ DATABASE_URL, [name]: value }))).toEqual([
      expect.stringMatching(`^${name} must be`),
    ]);
  }
});

test.each(["http://127.0.0.1", "127.0.0.1:8080", "[::1]", "local host"])("INGEST_HOST = %j is a problem", (host) => {
  expect(problemsOf(() => parseIngest({ ...required, INGEST_HOST: host }))).toEqual([
    expect.stringMatching(/^INGEST_HOST must be/),
  ]);
});

test("every problem is told at once, by name and never by value", () => {
  const wrong = {
    INGEST_PORT: "CANARY-1",
    INGEST_HOST: "CANARY 2",
    DATABASE_URL: "mysql://CANARY-3",
    QUEUE_URL: "amqp://CANARY-4",
    BUZZBIP_SIGNING_SECRETS: " ",
    MAX_BODY_BYTES: "CANARY-7",
    LOG_LEVEL: "CANARY-8",
    INGEST_ADDRESS_RATE: "CANARY-9",
    INGEST_SOURCE_RATE: "CANARY-10",
    INGEST_TRUST_PROXY: "CANARY-11",
    INGEST_MAX_WAITING: "CANARY-12",
    INGEST_BODY_MEMORY: "CANARY-24",
    DEDUPE_WINDOW_DAYS: "CANARY-13",
    RETENTION_DAYS: "CANARY-22",
    RETENTION_BYTES: "CANARY-23",
    SHUTDOWN_MS: "CANARY-14",
    WORKER_CONCURRENCY: "CANARY-15",
    WORKER_BATCH_EVENTS: "CANARY-16",
    WATCHDOG_MS: "CANARY-17",
    WORKER_LOCK_MS: "CANARY-18",
    INTERNAL_HOST: "CANARY 19",
    INGEST_INTERNAL_PORT: "CANARY-20",
    WORKER_INTERNAL_PORT: "CANARY-21",
  };
  const workerOnly = [
    "RETENTION_DAYS",
    "RETENTION_BYTES",
    "WORKER_CONCURRENCY",
    "WORKER_BATCH_EVENTS",
    "WORKER_LOCK_MS",
    "WATCHDOG_MS",
    "WORKER_INTERNAL_PORT",
  ];
  const ingestOnly = Object.keys(wrong).filter((name) => /^(INGEST|MAX|BUZZBIP)_/.test(name));
  for (const [parse, otherNames] of [
    [parseIngest, workerOnly],
    [parseWorkerConfig, ingestOnly],
  ] as const) {
    const problems = problemsOf(() => parse(wrong));
    const named = problems.map((problem) => String(problem.split(" ")[0])).toSorted();
    expect(named).toEqual(
      Object.keys(wrong)
        .filter((name) => !otherNames.includes(name))
        .toSorted(),
    );
    const error = new ConfigError(problems);
    expect(error.message).not.toContain("CANARY");
    for (const problem of problems) expect(error.message).toContain(problem);
    expect(error).toMatchObject({ name: "ConfigError", code: "CONFIG" });
  }
});

test("the secrets of each source are found by its variable, and what is wrong with sources is told along", () => {
  const source = { checkSecret: (secret: string) => (secret.startsWith("sk_") ? null : "must start with sk_") };
  const two = {
    list: [
      { name: "shop", secretsFrom: "SHOP_SIGNING_SECRETS", verifyTokensFrom: "SHOP_VERIFY_TOKENS", source },
      { name: "other", secretsFrom: "TOKEN", verifyTokensFrom: null, source },
    ],
    problems: [],
  };
  const given = {
    DATABASE_URL,
    SHOP_SIGNING_SECRETS: "sk_0123456789abcdef\nsk_2",
    SHOP_VERIFY_TOKENS: "any text of ours",
    TOKEN: "sk_3",
  };
  expect(parseIngestConfig(given, two)).toMatchObject({
    secrets: { shop: ["sk_0123456789abcdef", "sk_2"], other: ["sk_3"] },
    verifyTokens: { shop: ["any text of ours"] },
    warnings: [expect.stringMatching(/^SHOP_.*position 2 of 2/), expect.stringMatching(/^TOKEN: .*1 of 1/)],
  });
  const wrong = { ...given, SHOP_SIGNING_SECRETS: "PRIVATE", SHOP_VERIFY_TOKENS: undefined, TOKEN: "" };
  const problems = problemsOf(() => parseIngestConfig(wrong, { ...two, problems: ["source shop: wrong"] }));
  expect(problems).toEqual([
    "source shop: wrong",
    "SHOP_SIGNING_SECRETS holds a secret at position 1 that must start with sk_",
    expect.stringMatching(/^SHOP_VERIFY_TOKENS is required: set it to the verify token/),
    expect.stringMatching(/^TOKEN is empty/),
  ]);
});

test.each([
  ["s3://days/penstock/", { url: "s3://days/penstock" }],
  [" file:///mnt/archive ", { url: "file:///mnt/archive" }],
  ["file://mnt/archive", null],
  ["s3://key:secret@days", null],
  ["https://days.example.com", null],
])("days are archived where ARCHIVE_URL %j says", (ARCHIVE_URL, archive) => {
  const read = () => parseWorkerConfig({ DATABASE_URL, ARCHIVE_URL, ARCHIVE_S3_PATH_STYLE: "0" }).archive;
  if (archive === null) expect(problemsOf(read)).toEqual([expect.stringMatching(/^ARCHIVE_URL must be s3:\/\/bucket/)]);
  else expect(read()).toEqual({ region: null, endpoint: null, pathStyle: false, ...archive });
});
