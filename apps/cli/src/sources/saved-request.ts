import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { readRequestTarget } from "@penstock/sources";
import type { SavedRequest } from "@penstock/sources/explain";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";

const REQUEST_LINE = /^[A-Z]+ (\S+)(?: HTTP\/[\d.]+)?$/;
const HEADER = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*(.*)$/;

/**
 * Reads a request from a file: as it goes over the wire (a request line, which may be missing, headers, an empty line, the
 * body), or a JSON object with `headers`, `body` or `bodyBase64`, and perhaps `url`. `bodyFile` holds the body instead.
 *
 * @throws CliError when a file cannot be read or is neither.
 */
export async function readSavedRequest(ctx: CliContext, file: string, bodyFile?: string): Promise<SavedRequest> {
  const bytes = await read(ctx, file);
  const request = fromJson(bytes, file) ?? fromWire(bytes, file);
  return bodyFile === undefined ? request : { ...request, body: await read(ctx, bodyFile) };
}

async function read(ctx: CliContext, file: string): Promise<Buffer> {
  try {
    return await readFile(resolve(ctx.typedIn, file));
  } catch (error) {
    throw new CliError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  }
}

function fromJson(bytes: Buffer, file: string): SavedRequest | null {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { headers, body, bodyBase64, url = "/" } = value as Record<string, unknown>;
  if (typeof headers !== "object" || headers === null || typeof url !== "string") {
    throw new CliError(`${file} is JSON, but has no object \`headers\`: see --help.`);
  }
  if (typeof body !== "string" && typeof bodyBase64 !== "string") {
    throw new CliError(`${file} needs \`body\`, a text of exactly what was received, or \`bodyBase64\`.`);
  }
  const named = Object.entries(headers).map(([name, content]) => [name.toLowerCase(), String(content)] as const);
  // The URL may be the one that was entered at the provider: the Host header is what ingest got.
  const target = readRequestTarget(url);
  return {
    url: target.url,
    headers: new Map([...(target.host === null ? [] : [["host", target.host] as const]), ...named]),
    body: typeof bodyBase64 === "string" ? Buffer.from(bodyBase64, "base64") : Buffer.from(String(body)),
  };
}

function fromWire(bytes: Buffer, file: string): SavedRequest {
  // Editors write LF where the wire has CR LF; the body is left as it is.
  const [end, length] = ["\r\n\r\n", "\n\n"]
    .map((mark) => [bytes.indexOf(mark), mark.length] as const)
    .filter(([at]) => at >= 0)
    .toSorted(([a], [b]) => a - b)[0] ?? [bytes.length, 0];
  const lines = bytes.subarray(0, end).toString().split(/\r?\n/);
  const [, url] = REQUEST_LINE.exec(lines[0] ?? "") ?? [];
  const headers = new Map<string, string>();
  for (const line of url === undefined ? lines : lines.slice(1)) {
    const [, name, value = ""] = HEADER.exec(line) ?? [];
    if (name === undefined)
      throw new CliError(`${file} is no saved request: ${JSON.stringify(line.slice(0, 40))} is no header.`);
    const before = headers.get(name.toLowerCase());
    headers.set(name.toLowerCase(), before === undefined || before === value ? value : `${before}, ${value}`);
  }
  const target = readRequestTarget(url ?? "/");
  if (target.host !== null) headers.set("host", target.host);
  return { url: target.url, headers, body: bytes.subarray(end + length) };
}
