import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { type ForwardPass, tryForwardPass } from "./forward-pass.js";
import { hostProblem, requirement, thisHost } from "./host.js";
import { type LibtorchTree, libtorchVersion, platformOf } from "./libtorch.js";
import { loadedLibtorch, native } from "./load.js";
import { builtFor, locateLibtorch, packageRoot, places, platformPackage } from "./locate-libtorch.js";
import { tryForwardPassInChild } from "./probe.js";

import type { NativeInfo } from "./surface.js";

/** What there is to know about an installation, whether it works or not. */
export interface Diagnosis {
  /** Of this npm package. */
  packageVersion: string;
  packageRoot: string;
  node: string;
  /** Node-API's version of this Node.js. */
  nodeApi: string;
  platform: string;
  /** "2.36"; null where the C library is another. */
  glibc: string | null;
  cpu: { model: string; cores: number };
  /** The libtorch that releases are made for, and the one that this addon was built for. */
  wanted: { released: string; built: string };
  /** The npm package that brings libtorch here, and what its files and the prebuilt addon need of the system. */
  prebuilt: { package: string; needs: string | null; problem: string | null };
  /** Where libtorch is looked for in this environment, in order, and what lies there. */
  places: { name: string; folder: string | null; problem: string | null }[];
  libtorch: Pick<LibtorchTree, "version" | "source" | "root" | "cuda"> | null;
  /** What libtorch can do on this machine; null if the addon does not load. */
  native: NativeInfo | null;
  /** A real computation on each device, those of CUDA in a child process each; none if the addon does not load. */
  forwardPasses: ForwardPass[];
  /** What is wrong and what mends it; null if all is well. */
  problem: { code: string; message: string } | null;
}

/** Looks at everything and never throws. Loads the addon if it can. */
export async function diagnose(): Promise<Diagnosis> {
  const platform = platformOf();
  const found: Diagnosis = {
    packageVersion: packageVersion(),
    packageRoot: path.resolve(packageRoot),
    node: process.versions.node,
    nodeApi: process.versions.napi ?? "none",
    platform: `${process.platform}-${process.arch}`,
    glibc: thisHost().glibc,
    cpu: { model: os.cpus()[0]?.model ?? "unknown", cores: os.availableParallelism() },
    wanted: { released: libtorchVersion, built: builtFor() },
    prebuilt: {
      package: platformPackage,
      needs: platform ? requirement(platform) : null,
      problem: hostProblem() ?? null,
    },
    places: lookInPlaces(),
    libtorch: null,
    native: null,
    forwardPasses: [],
    problem: null,
  };
  try {
    const { version, source, root, cuda } = loadedLibtorch() ?? locateLibtorch();
    found.libtorch = { version, source, root, cuda };
    found.native = await native().info();
    found.forwardPasses.push(await tryForwardPass("cpu"));
    for (const index of found.native.cuda.devices.keys())
      found.forwardPasses.push(tryForwardPassInChild(`cuda:${index}`, { root }));
    const failed = found.forwardPasses.find(({ problem }) => problem !== null);
    if (failed)
      found.problem = { code: "ERR_FORWARD_PASS", message: `${failed.problem} on ${failed.device}` };
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    found.problem = { code: code ?? "ERR_NATIVE", message };
  }
  return found;
}

function lookInPlaces(): Diagnosis["places"] {
  return places().map(({ name, folder }) => {
    try {
      return { name, folder: folder() ?? null, problem: null };
    } catch (error) {
      return { name, folder: null, problem: (error as Error).message };
    }
  });
}

function packageVersion(): string {
  const file = path.join(packageRoot, "package.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : "unknown";
}
