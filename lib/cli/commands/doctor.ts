import { Command } from "commander";
import { type Group, type Transfers, tryTransfers } from "../../ranks/index.js";
import { type Diagnosis, diagnose, type NativeCuda, native } from "../../torch/index.js";
import { type CommonOptions, jsonOption, ranksOption, withRanks } from "../options.js";
import { exitCodes, print, type SetStatus, short, table } from "../progress.js";

export function doctorCommand(setStatus: SetStatus): Command {
  return new Command("doctor")
    .description("Say what this installation has, and compute on each device that it finds.")
    .addOption(jsonOption())
    .addOption(ranksOption())
    .addHelpText("after", "\nExample:\n  critical-sharpness doctor --json")
    .action(({ json, ranks }: CommonOptions & { ranks?: number }) =>
      withRanks(ranks, setStatus, async (group) => {
        const together = group.size > 1 ? await tryRanks(group) : undefined;
        if (!group.isFirst) return;
        const diagnosis = await diagnose();
        print({ ...diagnosis, ...(together && { ranks: together }) }, json, () => [
          ...describe(diagnosis),
          ...table(together ? describeRanks(together) : []),
        ]);
        if (diagnosis.problem === null) return;
        process.stderr.write(`error: ${diagnosis.problem.message}\n`);
        setStatus(exitCodes.failed);
      }),
    );
}

interface Ranks {
  size: number;
  agree: number;
  transfers: Transfers[];
}

async function tryRanks(group: Group): Promise<Ranks> {
  const found: Ranks = { size: group.size, agree: await agreement(group), transfers: [] };
  found.transfers.push(await tryTransfers(group, "cpu"));
  // Last: ranks that find no NCCL, or no device of their own, are at their end.
  const { devices } = (await native().info()).cuda;
  if (await group.any(devices.length > 0)) found.transfers.push(await tryTransfers(group, "cuda"));
  return found;
}

function describeRanks({ size, agree, transfers }: Ranks): [string, string][] {
  const rows: [string, string][] = [["ranks", `${size}, which agree within ${short(agree)} ms`]];
  for (const { device, rate, shared, problem } of transfers) {
    const by = device === "cpu" ? "Gloo" : "NCCL";
    const received = `each receives ${short((rate ?? 0) / 1e9)} GB/s by ${by}`;
    rows.push([
      `between them, ${device}`,
      problem ?? (shared ? `weights in memory that they share; ${received}` : received),
    ]);
  }
  return rows;
}

/** How long it takes all ranks to agree on a call, in milliseconds: the median of some. */
async function agreement(group: Group): Promise<number> {
  const waits: number[] = [];
  for (let i = 0; i < 21; i++) waits.push(await group.meet());
  return waits.toSorted((a, b) => a - b)[10] as number;
}

const bfloat16 = {
  amx: "in hardware, AMX tiles",
  avx512_bf16: "in hardware, AVX-512 BF16",
  emulated: "emulated: slower than float32",
};

function describeCuda({ built, driver, problem }: NativeCuda, inLibtorch: boolean): string {
  if (!built) return `not in this addon${inLibtorch ? ", though libtorch has it" : ""}`;
  const of = driver ? `driver for CUDA ${driver}` : "no driver";
  return problem ? `built in, no device: ${problem} (${of})` : `built in, ${of}`;
}

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
      ["CUDA", describeCuda(info.cuda, libtorch?.cuda ?? false)],
      ...info.cuda.devices.map(
        ({ name, memory, capability }, index) =>
          [
            `cuda:${index}`,
            `${name}, ${(memory / 2 ** 30).toFixed(1)} GiB, compute capability ${capability}`,
          ] as [string, string],
      ),
    );
  for (const { device, milliseconds, problem } of diagnosis.forwardPasses)
    rows.push([`forward pass, ${device}`, problem ?? `right, ${short(milliseconds)} ms`]);
  return table(rows);
}
