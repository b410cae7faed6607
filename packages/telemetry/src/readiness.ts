/** One thing that has to be in order; rejects with what is wrong. */
export interface HealthCheck {
  readonly name: string;
  readonly check: () => Promise<void>;
  /** False where the process does without: it is told, and the process is still ready. */
  readonly required: boolean;
}

/** Whether a process can do its work, and what is not in order. */
export interface Readiness {
  readonly status: "ready" | "degraded" | "not-ready" | "stopping";
  /** `ok`, or what is wrong, by the name of the check. May name hosts: not for everybody. */
  readonly checks: Readonly<Record<string, string>>;
}

const CHECK_MS = 2_000;
const KEEP_MS = 1_000;

/**
 * Makes the question whether a process is ready. Its answer is kept for a second: the probes of several balancers cost
 * one check. A check that does not answer within two seconds has failed.
 */
export function createReadiness(checks: readonly HealthCheck[], isClosing: () => boolean): () => Promise<Readiness> {
  let last: { at: number; results: Promise<string[]> } | undefined;
  return async function readiness() {
    if (isClosing()) return { status: "stopping", checks: {} };
    if (last === undefined || performance.now() - last.at > KEEP_MS) {
      last = { at: performance.now(), results: Promise.all(checks.map(run)) };
    }
    const results = await last.results;
    const wrong = checks.filter((_, at) => results[at] !== "ok");
    const status = wrong.length === 0 ? "ready" : wrong.some(({ required }) => required) ? "not-ready" : "degraded";
    return { status, checks: Object.fromEntries(checks.map(({ name }, at) => [name, results[at] ?? ""])) };
  };
}

/** The HTTP status that a balancer goes by: what is degraded still does its work. */
export function toHttpStatus({ status }: Readiness): number {
  return status === "ready" || status === "degraded" ? 200 : 503;
}

async function run({ check }: HealthCheck): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_MS} ms`)), CHECK_MS);
    });
    await Promise.race([check(), late]);
    return "ok";
  } catch (error) {
    return error instanceof Error && error.message !== "" ? error.message : "failed";
  } finally {
    clearTimeout(timer);
  }
}
