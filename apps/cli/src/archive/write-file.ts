import { createWriteStream } from "node:fs";
import { access, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { CliContext } from "../cli-context.ts";
import { CliError, StoppedError } from "../cli-error.ts";

/**
 * Writes lines to a file, compressed where its name ends in `.gz`, or to standard output where none is named. A file is there once it
 * is whole.
 *
 * @throws CliError when the file is there already.
 */
export async function writeLinesTo(
  ctx: CliContext,
  file: string | undefined,
  lines: AsyncIterable<string>,
): Promise<void> {
  const { stop: signal } = ctx;
  const source = Readable.from(lines);
  try {
    if (file === undefined || file === "-") {
      // Standard output stays open: others may write to it.
      await pipeline(source, ctx.output.stdout, { end: false, signal });
      return;
    }
    const path = resolve(ctx.typedIn, file);
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) throw new CliError(`${file} is there already: name another file, or delete it first.`);
    const unfinished = `${path}.unfinished`;
    try {
      const target = createWriteStream(unfinished);
      await (path.endsWith(".gz")
        ? pipeline(source, createGzip(), target, { signal })
        : pipeline(source, target, { signal }));
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  } catch (error) {
    if (ctx.stop.aborted) throw new StoppedError("it was stopped", { cause: error });
    throw error;
  }
}
