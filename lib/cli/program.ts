import { Command, CommanderError } from "commander";
import { packageVersion } from "../torch/index.js";

import { checkpointsCommand } from "./commands/checkpoints.js";
import { doctorCommand } from "./commands/doctor.js";
import { fetchLibtorchCommand } from "./commands/fetch-libtorch.js";
import { hessianCommand } from "./commands/hessian.js";
import { landscapeCommand } from "./commands/landscape.js";
import { measureCommand } from "./commands/measure.js";
import { mixCommand } from "./commands/mix.js";
import { reportCommand } from "./commands/report.js";
import { trainCommand } from "./commands/train.js";
import { watchCommand } from "./commands/watch.js";

/** Runs the command of these arguments and gives the exit code; errors are told on standard error. */
export async function run(args: readonly string[]): Promise<number> {
  let status: number = exitCodes.done;
  const program = new Command("critical-sharpness")
    .description("Critical sharpness: how far a step can go before the loss rises.")
    .version(await packageVersion())
    .helpCommand(false);
  const commands = [
    trainCommand,
    measureCommand,
    landscapeCommand,
    hessianCommand,
    checkpointsCommand,
    mixCommand,
    reportCommand,
    watchCommand,
    doctorCommand,
    fetchLibtorchCommand,
  ];
  for (const make of commands)
    program.addCommand(make((code) => (status = code)).option("--verbose", "print the stack of an error"));
  for (const command of [program, ...program.commands]) command.exitOverride().showHelpAfterError(false);
  try {
    if (args.length === 0) {
      program.outputHelp({ error: true });
      return exitCodes.badUsage;
    }
    await program.parseAsync([...args], { from: "user" });
    return status;
  } catch (error) {
    // Help and version end with an exit code of 0; what commander complains about it has told already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.badUsage;
    const verbose = args.includes("--verbose") || Boolean(process.env.DEBUG);
    process.stderr.write(`${failureMessage(error, verbose)}\n`);
    return exitCodeOf(error);
  }
}

/** Called by a command that ends otherwise than done, though without an error. */
export type SetStatus = (code: number) => void;

/** How a command ended, for the shell. */
export const exitCodes = { done: 0, failed: 1, badUsage: 2 } as const;

/** Command-line arguments that do not go together. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** A flag's value, a configuration or an option of the library that cannot be used is bad usage; the rest are failures. */
const usageCodes = new Set(["ERR_CONFIGURATION", "ERR_INVALID_ARG_TYPE", "ERR_OUT_OF_RANGE"]);

export function exitCodeOf(error: unknown): number {
  const { code } = (error ?? {}) as { code?: unknown };
  const isUsage = error instanceof UsageError || (typeof code === "string" && usageCodes.has(code));
  return isUsage ? exitCodes.badUsage : exitCodes.failed;
}

/** One message; with `verbose` the stacks of the error and its causes. */
export function failureMessage(error: unknown, verbose: boolean): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  if (!verbose) return `error: ${error.message}`;
  const stacks: string[] = [];
  for (let e: unknown = error; e instanceof Error; e = e.cause) stacks.push(e.stack ?? e.message);
  return `error: ${stacks.join("\ncaused by: ")}`;
}

/** A signal that Ctrl-C (SIGINT) or SIGTERM aborts; disposing of it takes the handlers away. */
export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
}

/** The first interruption aborts the signal and says `notice`; a second one ends the process at once. */
export function interruption(
  notice: string,
  display: { note(line: string): void; stop(): void },
): Interruption {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      display.stop();
      process.exit(1);
    }
    display.note(notice);
    controller.abort(new Error(name));
  };
  const names = ["SIGINT", "SIGTERM"] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
