import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { openPromise } from "yauzl";

/**
 * Unpacks the libtorch in one of PyTorch's wheels or in the official archive, both zip files: the libraries, the headers,
 * the version, and the licences.
 *
 * @param folder where to; it is made
 * @throws Error if the archive is damaged, has names that lead out of it, or the disk is full.
 */
export async function unpackLibtorch(archive: string, folder: string): Promise<void> {
  const zip = await openPromise(archive, { strictFileNames: true });
  const made = new Set<string>();
  for await (const entry of zip.eachEntry()) {
    const place = placeOf(entry.fileName);
    if (place === undefined) continue;
    const file = path.join(folder, place);
    const directory = path.dirname(file);
    if (!made.has(directory)) await mkdir(directory, { recursive: true });
    made.add(directory);
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(file));
  }
}

/** Where in a libtorch a file of an archive belongs; undefined: nowhere. */
export function placeOf(name: string): string | undefined {
  if (name.endsWith("/")) return undefined;
  const [, own] = /^(?:lib)?torch\/((?:lib|include)\/.*|version\.py|build-version)$/.exec(name) ?? [];
  const [, licence] = /^torch-[^/]+\.dist-info\/(licenses\/.*)$/.exec(name) ?? [];
  return own ?? licence;
}
