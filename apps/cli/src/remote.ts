import { type ApiError, type Client, createClient } from "@penstock/client";
import type { CliContext } from "./cli-context.ts";
import { CliError, UsageError } from "./cli-error.ts";
import { printable } from "./output/printable.ts";

/** A console that commands work through, in place of the database. */
export interface Remote {
  readonly url: string;
  readonly token: string;
}

/** Of an answer of the console. */
const VERSION_HEADER = "penstock-version";
const ANSWER_MS = 60_000;

/** The console that --url or PENSTOCK_URL names; null: there is none, and commands work on the database. */
export function findRemote({ given, env }: Pick<CliContext, "given" | "env">): Remote | null {
  const text = given.url ?? env["PENSTOCK_URL"];
  if (!text) return null;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError("--url (PENSTOCK_URL) must be the http or https URL of a console.");
  }
  const token = given.token ?? env["PENSTOCK_TOKEN"];
  if (token) return { url: text.replace(/\/+$/, ""), token };
  throw new UsageError(
    "A console asks for a token: set PENSTOCK_TOKEN, or PENSTOCK_TOKEN_FILE; an admin makes one on the page Settings, or by `penstock console token`.",
  );
}

/** @throws CliError when the user has named a console, which this cannot be done through. */
export function assertNoRemote(ctx: Pick<CliContext, "given" | "env">, what: string): void {
  if (!ctx.given.url && !ctx.env["PENSTOCK_URL"]) return;
  const without = ctx.given.url ? "without --url" : "with PENSTOCK_URL unset";
  throw new CliError(
    `${what} works on the machine of the project and its database, not through a console: run it there, ${without}.`,
  );
}

/** A client of a console, which makes sure that a console answers, and one that speaks as this command does. */
export function openClient({ version }: Pick<CliContext, "version">, { url, token }: Remote): Client {
  return createClient({
    url,
    token,
    fetch: async (input, init) => {
      const answer = await fetch(input, { ...init, redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS) });
      const location = answer.headers.get("location");
      if (location !== null) throw new CliError(`${url} leads to ${printable(location)}: give that as --url.`);
      const theirs = answer.headers.get(VERSION_HEADER);
      if (theirs === null) {
        throw new CliError(
          `What answers at ${url} (HTTP ${answer.status}) is no console of Penstock: check --url, and the proxy in front of it.`,
        );
      }
      if (seriesOf(theirs) === seriesOf(version)) return answer;
      throw new CliError(
        `The console at ${url} is version ${printable(theirs)} and this command ${version}: use the command of its version.`,
      );
    },
  });
}

/** Versions that understand each other: 0.1.2 and 0.1.3, 1.2.0 and 1.3.0. */
function seriesOf(version: string): string {
  const [major = "", minor = ""] = version.split(".");
  return major === "0" ? `0.${minor}` : major;
}

/** Why a console refused or did not answer, and what to do, in one sentence. */
export function describeRefusal({ status, message, detail, errors, cause }: ApiError, { url }: Remote): string {
  if (status === 0) {
    return `${url} does not answer${reasonOf(cause)}: check --url (PENSTOCK_URL), and whether the console runs.`;
  }
  if (status === 401) {
    return `${url} does not take this token, which may be mistyped, revoked or past its end: set PENSTOCK_TOKEN to another one; an admin makes them on the page Settings.`;
  }
  const said = [message, ...(detail === undefined ? [] : [detail])].map((text) => text.replace(/\.$/, "")).join(": ");
  const wrong = errors.map(({ path, message: why }) => `\n  ${path}: ${why}`).join("");
  const advice = status === 403 ? "; use a token that may do this." : ".";
  return `${said}${advice}${wrong}`;
}

/** What the system says, e.g. ` (ECONNREFUSED)`. */
function reasonOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string") return ` (${at.code})`;
    if (at.name === "TimeoutError") return ` within ${ANSWER_MS / 1_000} s`;
  }
  return "";
}
