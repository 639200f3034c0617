import { Command } from "commander";
import { packageVersion } from "../../experiments/index.js";
import { native } from "../../native/load.js";
import { locateLibtorch } from "../../native/locate-libtorch.js";
import type { NativeInfo } from "../../native/surface.js";
import { exitCodes } from "../failure.js";
import { type CommonOptions, jsonOption } from "../options.js";
import { print, table } from "../output.js";

/** What was found; `problem` says what is missing and how to get it. */
interface Diagnosis {
  version: string;
  node: string;
  platform: string;
  libtorch: { version: string; source: string; root: string } | null;
  native: NativeInfo | null;
  problem: string | null;
}

export function doctorCommand(setStatus: (code: number) => void): Command {
  return new Command("doctor")
    .description("Say what this installation has: versions, libtorch, processor, CUDA.")
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  critical-sharpness doctor --json")
    .action(async ({ json }: CommonOptions) => {
      const diagnosis = await diagnose();
      print(diagnosis, json, () => describe(diagnosis));
      if (diagnosis.problem === null) return;
      process.stderr.write(`error: ${diagnosis.problem}\n`);
      setStatus(exitCodes.failed);
    });
}

async function diagnose(): Promise<Diagnosis> {
  const found: Diagnosis = {
    version: await packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    libtorch: null,
    native: null,
    problem: null,
  };
  try {
    const { version, source, root } = locateLibtorch();
    found.libtorch = { version, source, root };
    found.native = await native().info();
  } catch (error) {
    found.problem = (error as Error).message;
  }
  return found;
}

const bfloat16 = {
  amx: "in hardware, AMX tiles",
  avx512_bf16: "in hardware, AVX-512 BF16",
  emulated: "emulated: slower than float32",
};

function describe({ version, node, platform, libtorch, native: info }: Diagnosis): string[] {
  const rows: [string, string][] = [
    ["critical-sharpness", version],
    ["Node", `${node}, ${platform}`],
    ["libtorch", libtorch ? `${libtorch.version}, ${libtorch.source}: ${libtorch.root}` : "not found"],
    ["addon", info ? `built for libtorch ${info.builtFor}` : "not loaded"],
  ];
  if (info)
    rows.push(
      ["threads", `${info.threads}`],
      ["CPU capability", info.cpuCapability],
      ["flash attention", info.flashAttention ? "yes" : "no"],
      ["bfloat16", bfloat16[info.bfloat16]],
      [
        "CUDA",
        info.cuda.built ? info.cuda.devices.join(", ") || "built in, no device" : "not in this libtorch",
      ],
    );
  return table(rows);
}
