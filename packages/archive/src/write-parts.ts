import type { ArchivedEvent, ArchivedPart } from "@penstock/store";
import { createPacker, type PackedFile } from "./event-file.ts";
import { folderOf, nameOfPart } from "./manifest.ts";
import type { ArchiveStorage } from "./storage.ts";

/** A part is written once it is as large, compressed. It is held in memory until then: a day needs no more, however large it is. */
export const PART_BYTES = 16 * 1024 * 1024;

/** Writes events as parts of a day, and yields each once it is stored. `from` is the number of the first one. */
export async function* writeParts(
  storage: ArchiveStorage,
  day: string,
  events: AsyncIterable<ArchivedEvent>,
  { from = 1, partBytes = PART_BYTES }: { readonly from?: number; readonly partBytes?: number } = {},
): AsyncGenerator<ArchivedPart> {
  let nth = from;
  const begin = () => createPacker({ penstock: "events", version: 1, day });
  let packer = begin();
  for await (const event of events) {
    await packer.add(event);
    if (packer.size() < partBytes) continue;
    yield await store(storage, day, nth++, await packer.end());
    packer = begin();
  }
  if (packer.count() > 0) yield store(storage, day, nth, await packer.end());
}

async function store(storage: ArchiveStorage, day: string, nth: number, packed: PackedFile): Promise<ArchivedPart> {
  const { bytes, ...of } = packed;
  const name = nameOfPart(nth, of.sha256);
  await storage.put(`${folderOf(day)}${name}`, bytes);
  return { name, bytes: bytes.length, ...of };
}
