import { toJsonLine } from "./json-line.ts";

/** A stream that text goes to, and whether a person watches it. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Where a command's words go. Results are for programs and people alike, all else is for people. */
export interface Output {
  /** Writes a line or several to standard output. */
  result(text: string): void;
  /** Writes one JSON object as one line to standard output. */
  json(value: object): void;
  /** Writes a line or several to standard error. */
  say(text: string): void;
  readonly stderr: NodeJS.WritableStream & TextStream;
  /** For results that are too long to be held in memory. */
  readonly stdout: NodeJS.WritableStream & TextStream;
}

/** Makes the output of a process from its streams. */
export function createOutput(
  stdout: NodeJS.WritableStream & TextStream,
  stderr: NodeJS.WritableStream & TextStream,
): Output {
  return {
    stdout,
    result: (text) => void stdout.write(`${text}\n`),
    json: (value) => void stdout.write(`${toJsonLine(value)}\n`),
    say: (text) => void stderr.write(`${text}\n`),
    stderr,
  };
}
