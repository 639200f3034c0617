import { Argument, Command, InvalidArgumentError } from "commander";
import { type CommonOptions, jsonOption } from "../options.js";
import { print, showProgress } from "../progress.js";

interface Flags extends CommonOptions {
  url?: string;
  sha256?: string;
}

export function fetchLibtorchCommand(): Command {
  return new Command("fetch-libtorch")
    .description(
      "Download libtorch from the official site into the cache. Nothing else ever downloads it for an installed package.",
    )
    .addArgument(
      new Argument("[variant]", '"cpu", or a version of CUDA such as "cu130"')
        .default("cpu")
        .argParser(variant),
    )
    .option("--url <url>", "another place that serves the same file")
    .option("--sha256 <digest>", "the file's SHA-256, where this package does not know it", digest)
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nA proxy is taken from HTTPS_PROXY and NO_PROXY. A download that was broken off goes on where it was.\n\nExample:\n  critical-sharpness fetch-libtorch cpu",
    )
    .action(async (variant: string, { json, url, sha256 }: Flags) => {
      const { fetchLibtorch } = await import("../../torch/download/index.js");
      const tree = await fetched((onProgress) =>
        fetchLibtorch({ variant, url, sha256, onProgress, log: note }),
      );
      const { root, version, cuda } = tree;
      print({ variant, root, version, cuda }, json, () => [
        `libtorch ${version} is in ${root}`,
        variant === "cpu"
          ? "It is found there by itself where no other is installed."
          : `To use it: export CRITICAL_SHARPNESS_LIBTORCH="${root}"`,
      ]);
    });
}

const note = (line: string) => process.stderr.write(`${line}\n`);
const megabytes = (bytes: number) => Math.round(bytes / 1e6);

/** Shows how many megabytes have come while `run` runs. */
async function fetched<T>(
  run: (onProgress: (received: number, total: number | undefined) => void) => Promise<T>,
): Promise<T> {
  let progress: ReturnType<typeof showProgress> | undefined;
  try {
    return await run((received, total) => {
      progress ??= showProgress("MB", total && megabytes(total), megabytes(received));
      progress.update(megabytes(received), "");
    });
  } finally {
    progress?.stop();
  }
}

function variant(text: string): string {
  if (/^(cpu|cu\d{2,3})$/.test(text)) return text;
  throw new InvalidArgumentError(
    `Expected "cpu" or a version of CUDA such as "cu130" but received "${text}".`,
  );
}

function digest(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError(`Expected 64 hexadecimal digits but received "${text}".`);
}
