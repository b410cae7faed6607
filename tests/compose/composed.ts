import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "@penstock/testing";

const repository = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** What of `docker inspect` is looked at. */
export interface Container {
  Id: string;
  Config: { User: string; Labels: Record<string, string> };
  HostConfig: {
    ReadonlyRootfs: boolean;
    CapAdd: string[] | null;
    CapDrop: string[] | null;
    SecurityOpt: string[] | null;
  };
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> };
  State: { Status: string; ExitCode: number; Health?: { Status: string } };
}

/** docker-compose.yml under a project name of its own, on free ports. */
export interface Composed {
  readonly webhookUrl: string;
  readonly tracesUrl: string;
  /** `docker compose <args>`; what it printed on standard output. Errors: with what it printed on standard error. */
  compose(...args: string[]): Promise<string>;
  /** The same, with several ingests behind a proxy (docker/scale.env). */
  scaled(...args: string[]): Promise<string>;
  /** `docker <args>` */
  docker(...args: string[]): Promise<string>;
  /** The containers of a service, those that have ended among them. */
  containers(service: string): Promise<Container[]>;
  /** Asks Postgres, from inside its container, for the one value of a query that returns JSON. */
  query<T>(sql: string): Promise<T>;
}

/** Where `docker compose` is run, and with which files; in this repository, with its own, unless given. */
export interface ComposedOptions {
  readonly cwd?: string;
  readonly files?: readonly string[];
}

export async function createComposed({ cwd = repository, files = [] }: ComposedOptions = {}): Promise<Composed> {
  const project = `penstock-test-${randomBytes(3).toString("hex")}`;
  const [port, consolePort, jaegerPort] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...pick(process.env, ["PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG"]),
    COMPOSE_PROJECT_NAME: project,
    PWD: cwd, // as a shell would have it
    PENSTOCK_TAG: "compose-test",
    PENSTOCK_PORT: String(port),
    CONSOLE_PORT: String(consolePort),
    JAEGER_PORT: String(jaegerPort),
  };
  const feed = async (input: string, ...args: string[]): Promise<string> => {
    const running = run("docker", args, { cwd, env, maxBuffer: 64 * 1024 * 1024 });
    // A command that has ended without reading it says by its exit code what is wrong.
    running.child.stdin?.on("error", () => undefined).end(input);
    return (await running).stdout.trim();
  };
  const docker = (...args: string[]): Promise<string> => feed("", ...args);
  const compose = (...args: string[]): Promise<string> =>
    docker("compose", ...files.flatMap((file) => ["-f", file]), ...args);
  return {
    webhookUrl: `http://127.0.0.1:${port}/webhooks/buzzbip`,
    tracesUrl: `http://127.0.0.1:${jaegerPort}`,
    docker,
    compose,
    scaled: (...args) => compose("--env-file", "docker/scale.env", ...args),
    async containers(service) {
      const filter = `label=com.docker.compose.project=${project}`;
      const ofService = `label=com.docker.compose.service=${service}`;
      const ids = await docker("ps", "--all", "--quiet", "--filter", filter, "--filter", ofService);
      return ids === "" ? [] : (JSON.parse(await docker("inspect", ...ids.split("\n"))) as Container[]);
    },
    async query<T>(sql: string) {
      // By standard input: a list of thousands of ids is more than a command line takes.
      const psql = ["psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-U", "penstock", "-d", "penstock"];
      return JSON.parse(await feed(sql, "compose", "exec", "-T", "postgres", ...psql)) as T;
    },
  };
}

function pick(env: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
