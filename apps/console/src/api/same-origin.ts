import type { Request } from "express";
import { Problem } from "./problem.ts";

/** Names of this machine: where no public URL is set, only its own browser is answered. */
const THIS_MACHINE = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i;

/** Where the page is served, as browsers name it. */
export interface PublicPlace {
  /** `https://penstock.example.com`; null: any name of this machine. */
  readonly origin: string | null;
  /** The path in front of everything, without a slash at the end; empty at the root. */
  readonly basePath: string;
}

export function toPublicPlace(publicUrl: string | null): PublicPlace {
  if (publicUrl === null) return { origin: null, basePath: "" };
  const { origin, pathname } = new URL(publicUrl);
  return { origin, basePath: pathname.replace(/\/$/, "") };
}

/** The origin that a request came to, as its sender names it. @throws Problem for a name that is not ours. */
export function originOf(req: Request, { origin }: PublicPlace): string {
  if (origin !== null) return origin;
  const host = req.headers.host ?? "";
  if (THIS_MACHINE.test(host)) return `http://${host.toLowerCase()}`;
  // Else a page elsewhere could have its own name point to this machine, and read what is here.
  throw new Problem(421, "This console is open to the browser of its own machine only", {
    detail: "Set CONSOLE_URL to the address by which you open it.",
  });
}

/** Refuses a write that a page of somebody else has a browser send. @throws Problem */
export function assertSameOrigin(req: Request, place: PublicPlace): void {
  const { origin, "sec-fetch-site": site } = req.headers;
  const ours = origin === undefined ? site === "same-origin" : origin === originOf(req, place);
  if (ours) return;
  throw new Problem(403, "This request does not come from the console's own page", {
    detail:
      "Programs use an API token: Authorization: Bearer pst_…. If this is the page, CONSOLE_URL is not the address by which you opened it.",
  });
}
