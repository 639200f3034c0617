import { Command } from "commander";
import { type Diagnosis, diagnose } from "../../native/diagnose.js";
import { exitCodes } from "../failure.js";
import { type CommonOptions, jsonOption } from "../options.js";
import { print, short, table } from "../output.js";

export function doctorCommand(setStatus: (code: number) => void): Command {
  return new Command("doctor")
    .description("Say what this installation has, and compute on each device that it finds.")
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  critical-sharpness doctor --json")
    .action(async ({ json }: CommonOptions) => {
      const diagnosis = await diagnose();
      print(diagnosis, json, () => describe(diagnosis));
      if (diagnosis.problem === null) return;
      process.stderr.write(`error: ${diagnosis.problem.message}\n`);
      setStatus(exitCodes.failed);
    });
}

const bfloat16 = {
  amx: "in hardware, AMX tiles",
  avx512_bf16: "in hardware, AVX-512 BF16",
  emulated: "emulated: slower than float32",
};

function describe(diagnosis: Diagnosis): string[] {
  const { libtorch, native: info, cpu } = diagnosis;
  const rows: [string, string][] = [
    ["critical-sharpness", diagnosis.packageVersion],
    ["Node", `${diagnosis.node} (Node-API ${diagnosis.nodeApi}), ${diagnosis.platform}`],
    ["C library", diagnosis.glibc ? `glibc ${diagnosis.glibc}` : "another than glibc"],
    ["processor", `${cpu.model}, ${cpu.cores} cores`],
    ["libtorch", libtorch ? `${libtorch.version}, ${libtorch.source}: ${libtorch.root}` : "not found"],
    ["addon", info ? `built for libtorch ${info.builtFor}` : "not loaded"],
  ];
  if (!info) {
    const { package: name, needs } = diagnosis.prebuilt;
    rows.push(["prebuilt", needs ? `${name}, for ${needs}` : "nothing for this platform"]);
    for (const { name, folder, problem } of diagnosis.places)
      rows.push([`  ${name}`, problem ?? folder ?? "nothing there"]);
  }
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
  for (const { device, milliseconds, problem } of diagnosis.forwardPasses)
    rows.push([`forward pass, ${device}`, problem ?? `right, ${short(milliseconds)} ms`]);
  return table(rows);
}
