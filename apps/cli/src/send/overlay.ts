import { layOver, type Overlay } from "@penstock/simulator";
import { InvalidArgumentError } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { readBodyFile } from "./body-file.ts";

/**
 * One `--set path=value` laid over those before it. The path goes through objects, by dots; a value that is JSON is taken as
 * such, any other as text.
 *
 * @example
 * parseSet("data.tags=[\"vip\"]", { data: { body: "Hi" } }); // { data: { body: "Hi", tags: ["vip"] } }
 */
export function parseSet(text: string, before: Overlay = {}): Overlay {
  const [, path, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  const names = path?.split(".") ?? [];
  if (value === undefined || names.some((name) => name === "")) {
    throw new InvalidArgumentError('It must be a path and a value, e.g. data.body="Hi".');
  }
  const overlay = names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), parseValue(value));
  return layOver(before, overlay as Overlay);
}

/** The object in a JSON file. @throws CliError */
export async function readOverlayFile(ctx: CliContext, file: string): Promise<Overlay> {
  const value = parseValue((await readBodyFile(ctx, file, "--file")).toString("utf8"));
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Overlay;
  throw new CliError(`--file ${file} must hold a JSON object; --body-file sends any bytes as they are.`);
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
