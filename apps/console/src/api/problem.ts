import type { Response } from "express";

/** One thing that is wrong with a request, and where: `query.limit`, `body.email`. */
export interface ProblemDetail {
  readonly path: string;
  readonly message: string;
}

/** Thrown to answer with a problem (RFC 9457). The title says what is wrong, the detail what to do about it. */
export class Problem extends Error {
  readonly code = "PROBLEM";
  readonly status: number;
  readonly detail: string | undefined;
  readonly errors: readonly ProblemDetail[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    title: string,
    more: {
      readonly detail?: string;
      readonly errors?: readonly ProblemDetail[];
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(title);
    this.status = status;
    this.detail = more.detail;
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }
}

/** What a problem is sent as. */
function toProblemBody({ status, message, detail, errors }: Problem): object {
  return { type: "about:blank", title: message, status, detail, errors };
}

export function sendProblem(res: Response, problem: Problem): void {
  if (res.headersSent) {
    res.end();
    return;
  }
  res.status(problem.status).set({ "cache-control": "no-store", ...problem.headers });
  res.type("application/problem+json").send(JSON.stringify(toProblemBody(problem)));
}
