import pinoPretty from "pino-pretty";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";

/** Shows log lines to people. */
export interface TerminalLog {
  /** A line of pino's JSON. */
  write(line: string): void;
  /** Any other line, e.g. of a crash. */
  writePlain(service: string, line: string): void;
}

/** Shows log lines on standard error, in colour where that is a terminal. */
export function createTerminalLog({ say, stderr }: Output, colorize: boolean): TerminalLog {
  const format = pinoPretty.prettyFactory({
    colorize: colorize && stderr.isTTY === true,
    translateTime: "SYS:HH:MM:ss",
    messageFormat: "{service}: {msg}",
    ignore: "pid,hostname,service",
    singleLine: true,
  });
  return {
    write(line) {
      let entry: unknown;
      try {
        // What senders and handlers wrote is in these strings: none of it may steer the terminal.
        entry = JSON.parse(line, (_, value: unknown) =>
          typeof value === "string" ? printable(value, { keepLines: true }) : value,
        );
      } catch {
        entry = null;
      }
      say(typeof entry === "object" && entry !== null ? format(entry).trimEnd() : printable(line));
    },
    writePlain: (service, line) => say(`${service}: ${printable(line)}`),
  };
}
