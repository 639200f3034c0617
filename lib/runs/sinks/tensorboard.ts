import { rm } from "node:fs/promises";
import path from "node:path";
import { runFiles } from "../directory.js";
import type { Kind } from "../kind.js";
import { readRun } from "../run.js";

import { EventFile } from "./event-file.js";
import type { Sink } from "./sink.js";

/**
 * Event files that TensorBoard opens while they grow, in the run's folder `tensorboard`: the numbers of its records, and at the end
 * its figures. A run that goes on writes what was recorded before once more, so that they always say what the metrics say.
 */
export function tensorBoard(): Sink {
  let open: { file: EventFile; kind: Kind; directory: string } | undefined;
  let last = 0;
  const write = async (event: { type: string }) => {
    const found = open?.kind.scalars(event as never);
    if (!found) return;
    last = found.step;
    await open?.file.scalars(found.step, found.values);
  };
  return {
    async begin({ kind, directory, past }) {
      const folder = path.join(directory, runFiles.tensorboard);
      await rm(folder, { recursive: true, force: true });
      open = { kind, directory, file: await EventFile.create(folder) };
      for await (const event of past()) await write(event);
    },
    receive: write,
    async [Symbol.asyncDispose]() {
      if (!open) return;
      await using file = open.file;
      if (last > 0) for (const [name, png] of await pictures(open)) await file.image(last, name, png);
      open = undefined;
    },
  };
}

/** The figures of a run's report; none where it has nothing to show. */
async function pictures({ kind, directory }: { kind: Kind; directory: string }): Promise<[string, Buffer][]> {
  const content = await readRun(kind, directory)
    .then((run) => kind.report(run))
    .catch(() => undefined);
  if (!content) return [];
  // Loaded when it is needed: what draws is large.
  const { figurePng } = await import("../../report/index.js");
  const drawn: [string, Buffer][] = [];
  for (const figure of content.figures) drawn.push([figure.name, Buffer.from(await figurePng(figure))]);
  return drawn;
}
