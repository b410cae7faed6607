import { fileURLToPath } from "node:url";
import { createTestDatabase, createTestRedis, startProcess, type TestProcess } from "@penstock/testing";

const app = (path: string): URL => new URL(`../../../apps/${path}`, import.meta.url);
const CONFIG = fileURLToPath(new URL("../penstock.config.ts", import.meta.url));
const PATIENCE_MS = 90_000;

/** Ingest, a worker and the console as processes, on a database and a Redis of their own. */
export interface RunningPenstock {
  /** Of the console. */
  readonly url: string;
  /** Runs a command of the CLI to its end, and gives what it printed. */
  cli(...args: string[]): Promise<string>;
  /** A link that signs in once: the admin, or somebody new with this role. */
  signInLink(role?: "viewer" | "operator"): Promise<string>;
  /** Sends a signed event to ingest; resolves when it is acknowledged. */
  send(id: string, data?: Readonly<Record<string, unknown>>, type?: string): Promise<void>;
}

export async function startPenstock(): Promise<RunningPenstock> {
  const env: Record<string, string> = {
    PENSTOCK_CONFIG: CONFIG,
    PENSTOCK_MASTER_KEY: `${"k".repeat(43)}=`,
    BUZZBIP_SIGNING_SECRETS: "whsec_of_the_tests_in_a_browser",
    OUTBOUND_ALLOW: "127.0.0.0/8",
    INTERNAL_HOST: "127.0.0.1",
    INGEST_HOST: "127.0.0.1",
    INGEST_PORT: "0",
    CONSOLE_HOST: "127.0.0.1",
    CONSOLE_PORT: "0",
    INGEST_INTERNAL_PORT: "0",
    WORKER_INTERNAL_PORT: "0",
    CONSOLE_INTERNAL_PORT: "0",
  };
  const run = async (...args: string[]): Promise<string> => {
    const { stdout, stderr, exited } = startProcess({ file: app("cli/src/main.ts"), args, env, name: args.join(" ") });
    const { code } = await exited;
    if (code !== 0) throw new Error(`penstock ${args.join(" ")} ended with ${code}: ${stderr.join("\n")}`);
    return stdout.join("\n");
  };
  const { url: databaseUrl } = await createTestDatabase({
    template: "browser",
    migrate: async (template) => {
      env["DATABASE_URL"] = template;
      await run("migrate");
    },
  });
  env["DATABASE_URL"] = databaseUrl;
  env["QUEUE_URL"] = (await createTestRedis()).url;

  const services = ["ingest", "worker", "console"] as const;
  const [ingest, , console] = await Promise.all(
    services.map(async (name) => {
      const service = startProcess({ file: app(`${name}/src/main.ts`), env, name });
      return portOf(service, name);
    }),
  );
  const url = `http://127.0.0.1:${console}`;
  env["CONSOLE_URL"] = url;
  let invited = 0;
  return {
    url,
    cli: run,
    signInLink: (role) =>
      role === undefined
        ? run("console", "link")
        : run("console", "invite", `${role}${++invited}@example.com`, "--role", role),
    async send(id, data = {}, type = "message.received") {
      const target = `http://127.0.0.1:${ingest}/webhooks/buzzbip`;
      await run("send", type, "--id", id, "--url", target, "--data", JSON.stringify(data));
    },
  };
}

async function portOf(service: TestProcess, name: string): Promise<number> {
  const [line] = await service.waitForLine(new RegExp(`^.*"${name} ready".*$`), PATIENCE_MS);
  return (JSON.parse(line) as { port: number }).port;
}
