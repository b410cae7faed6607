import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const repository = join(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(join(repository, file), "utf8");

test("images carry the version of package.json unless told another", () => {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  expect(read("Dockerfile")).toContain(`ARG VERSION=${version}\n`);
});

test("what compose runs of Postgres and Redis is what the tests run with TEST_CONTAINERS", () => {
  const compose = read("docker-compose.yml");
  for (const server of ["postgres", "redis"]) {
    const image = /IMAGE = "(.+)"/.exec(read(`packages/testing/src/${server}-container.ts`))?.[1];
    expect(compose).toContain(`image: ${image}\n`);
  }
});

test("what keeps memory small is the same in the images, for `npm start`, and in the benchmark", () => {
  for (const file of ["Dockerfile", "apps/cli/src/supervisor/child.ts", "packages/bench/src/variants.ts"]) {
    expect(read(file)).toMatch(/MALLOC_ARENA_MAX(=|: ")2/);
  }
});

describe("the secrets of a composed system", () => {
  let folder: string;
  const secret = (name: string): string => readFileSync(join(folder, "secrets", name), "utf8");

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "penstock-secrets-"));
    mkdirSync(join(folder, "given"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function makeSecrets(env: Record<string, string> = {}): { status: number | null; output: string } {
    const folders = { SECRETS_FOLDER: join(folder, "secrets"), GIVEN_FOLDER: join(folder, "given") };
    const { status, stdout, stderr } = spawnSync("sh", [join(repository, "docker/make-secrets.sh")], {
      env: {
        PATH: process.env["PATH"],
        SECRETS_OWNER: `${process.getuid?.()}:${process.getgid?.()}`,
        ...folders,
        ...env,
      },
      encoding: "utf8",
    });
    return { status, output: stdout + stderr };
  }

  test("are made at the first start, kept at the next, readable by their owner alone, and never printed", () => {
    const { status, output } = makeSecrets();
    expect({ status, output }).toMatchObject({ status: 0 });
    const made = ["postgres-password", "redis-password", "buzzbip-signing-secrets"].map(secret);
    for (const value of made) {
      expect(value).toMatch(/^[0-9a-f]{64}$/);
      expect(output).not.toContain(value);
    }
    expect(new Set(made).size).toBe(3);
    const key = secret("master-key");
    expect(Buffer.from(key, "base64")).toHaveLength(32);
    expect(output).not.toContain(key);
    expect(statSync(join(folder, "secrets", "database-url")).mode & 0o777).toBe(0o600);
    makeSecrets();
    const kept = ["postgres-password", "redis-password", "buzzbip-signing-secrets", "master-key"].map(secret);
    expect(kept).toEqual([...made, key]);
  });

  test("can be given by variable and by file, and stay until others are given", () => {
    makeSecrets();
    writeFileSync(join(folder, "given", "buzzbip-signing-secrets"), "given_by_file_of_16_bytes\n");
    makeSecrets({ POSTGRES_PASSWORD: "given by variable" });
    rmSync(join(folder, "given", "buzzbip-signing-secrets"));
    makeSecrets();
    expect(secret("buzzbip-signing-secrets")).toBe("given_by_file_of_16_bytes");
    expect(secret("postgres-password")).toBe("given by variable");
  });

  test("whatever characters a password has, the URLs and Redis' configuration hold just it", () => {
    const password = `p@ss:w/ö?rd# %41"\\'$x`;
    makeSecrets({ POSTGRES_PASSWORD: password, REDIS_PASSWORD: password });
    const url = new URL(secret("database-url").trim());
    expect(url.host + url.pathname).toBe("postgres:5432/penstock");
    expect(decodeURIComponent(url.password)).toBe(password);
    expect(decodeURIComponent(new URL(secret("queue-url").trim()).password)).toBe(password);
    const [, quoted] = /^requirepass "((?:\\x[0-9a-f]{2})+)"\n$/.exec(secret("redis.conf")) ?? [];
    expect(Buffer.from(quoted!.replaceAll("\\x", ""), "hex").toString()).toBe(password);
  });

  test("given twice are a mistake that is told by name, never by value", () => {
    writeFileSync(join(folder, "given", "redis-password"), "CANARY-1");
    const { status, output } = makeSecrets({ REDIS_PASSWORD: "CANARY-2" });
    expect(status).toBe(1);
    expect(output).toContain("REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set");
    expect(output).not.toContain("CANARY");
  });
});
