import type { ServerResponse } from "node:http";

/** The ways in which a request is refused. What a sender is told never depends on why its signature was wrong. */
export const problems = {
  unauthorized: { status: 401, title: "Signature missing or wrong" },
  wrongVerifyToken: { status: 403, title: "Verify token missing or wrong" },
  notFound: { status: 404, title: "No such webhook source" },
  noSuchPath: { status: 404, title: "Nothing here: webhooks are sent to /webhooks/<source>" },
  methodNotAllowed: { status: 405, title: "Webhooks are sent by POST" },
  tooLarge: { status: 413, title: "Body too large" },
  encodedBody: { status: 415, title: "Encoded bodies are not taken: send the body as it was signed" },
  tooManyRequests: { status: 429, title: "Too many requests" },
  unavailable: { status: 503, title: "Not accepted right now, try again" },
} as const;

export type Problem = (typeof problems)[keyof typeof problems];

/** Answers with a problem (RFC 9457). Does nothing when an answer has begun. */
export function sendProblem(
  res: ServerResponse,
  problem: Problem,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (res.headersSent) return;
  writeProblem(res, problem, headers);
  res.end();
}

/** Writes a whole answer that somebody else ends. */
export function writeProblem(res: ServerResponse, problem: Problem, headers: Readonly<Record<string, string>>): void {
  const body = Buffer.from(JSON.stringify({ type: "about:blank", ...problem }));
  res.writeHead(problem.status, {
    "content-type": "application/problem+json",
    "content-length": body.length,
    ...headers,
  });
  res.write(body);
}
