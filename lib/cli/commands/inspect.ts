import { Command } from "commander";
import { type Contents, inspect } from "../../models/index.js";
import { attended, type CommonOptions, jsonOption } from "../options.js";
import { exitCodes, print, type SetStatus, table } from "../progress.js";

interface InspectFlags extends CommonOptions {
  sha256?: boolean;
}

export function inspectCommand(setStatus: SetStatus): Command {
  return new Command("inspect")
    .description("Say what a checkpoint, model, adapter, program or token file holds. Nothing in it is run.")
    .argument(
      "<path>",
      "a file of torch.save, safetensors, a .pt2 or tokens; or a folder of a model, an adapter or a checkpoint (of the Trainer or torch.distributed)",
    )
    .option("--sha256", "the SHA-256 of each tensor's bytes too: little-endian, in C order")
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  critical-sharpness inspect runs/llama/checkpoint-40 --json")
    .action(async (place: string, { json, sha256 }: InspectFlags) => {
      const contents = await attended("tensor", undefined, ({ signal, display }) => {
        let done = 0;
        return inspect(place, { sha256, signal, onTensor: (name) => display.update(++done, name) });
      });
      print(contents, json, () => describe(contents));
      for (const { refused } of contents.parts) {
        if (refused === undefined) continue;
        process.stderr.write(`error: ${refused}\n`);
        setStatus(exitCodes.failed);
      }
    });
}

const shown = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function describe(contents: Contents): string[] {
  const { path, kind, facts, tensors, values, parts, notOpened } = contents;
  const numbers = tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  const dtypes = tensors.reduce((most, { dtype }) => Math.max(most, dtype.length), 0);
  const rows: [string, string][] = [
    ...Object.entries(facts).map(([name, value]): [string, string] => [name, shown(value)]),
    ...tensors.map(({ name, dtype, shape, sha256 }): [string, string] => [
      name,
      [dtype.padEnd(dtypes), `[${shape.join(", ")}]`, ...(sha256 === undefined ? [] : [sha256])].join("  "),
    ]),
    ...values.map(({ name, value }): [string, string] => [name, shown(value)]),
    ...notOpened.map(({ file, reason }): [string, string] => [file, reason]),
  ];
  const sum = tensors.length > 0 ? `: ${tensors.length} tensors, ${numbers} numbers` : "";
  return [
    `${path}: ${kind}${sum}`,
    ...table(rows).map((line) => `  ${line}`),
    ...parts.flatMap((part) => ["", ...describe(part)]),
  ];
}
