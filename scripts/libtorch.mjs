// The libtorch that a source checkout is built with.
import { existsSync } from "node:fs";
import path from "node:path";
import { root, run, stop } from "./run.mjs";

/**
 * Finds a libtorch with headers, or fetches one if there is none anywhere; ends the script if that fails. What a variable
 * names is never passed over. The rules are lib/torch/locate-libtorch.ts's, compiled first where that has not been done.
 */
export async function libtorchForBuild() {
  const compiled = path.join(root, "dist/torch/locate-libtorch.js");
  if (!existsSync(compiled)) run("npm", ["run", "--silent", "build:ts"]);
  const { locateLibtorch, places } = await import("../dist/torch/locate-libtorch.js");
  const { fetchLibtorchWithPip } = await import("../dist/torch/download/index.js");
  try {
    const nowhere = places({ purpose: "build" }).every(({ folder }) => !folder());
    return nowhere ? await fetchLibtorchWithPip() : locateLibtorch({ purpose: "build" });
  } catch (error) {
    return stop(error.message);
  }
}
