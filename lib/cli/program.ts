import { Command, CommanderError } from "commander";
import { packageVersion } from "../torch/index.js";

import { alongCommand } from "./commands/along.js";
import { checkCommand } from "./commands/check.js";
import { checkpointsCommand } from "./commands/checkpoints.js";
import { doctorCommand } from "./commands/doctor.js";
import { fetchLibtorchCommand } from "./commands/fetch-libtorch.js";
import { hessianCommand } from "./commands/hessian.js";
import { inspectCommand } from "./commands/inspect.js";
import { landscapeCommand } from "./commands/landscape.js";
import { launchCommand } from "./commands/launch.js";
import { measureCommand } from "./commands/measure.js";
import { mixCommand } from "./commands/mix.js";
import { probesCommand } from "./commands/probes.js";
import { reportCommand } from "./commands/report.js";
import { trainCommand } from "./commands/train.js";
import { watchCommand } from "./commands/watch.js";
import { exitCodeOf, exitCodes, failureMessage, type SetStatus } from "./progress.js";

/** The command with all that it can do. */
export async function makeProgram(setStatus: SetStatus = () => {}): Promise<Command> {
  const program = new Command("critical-sharpness")
    .description("Critical sharpness: how far a step can go before the loss rises.")
    .version(await packageVersion())
    .helpCommand(false);
  const commands = [
    trainCommand,
    measureCommand,
    landscapeCommand,
    alongCommand,
    hessianCommand,
    checkpointsCommand,
    checkCommand,
    mixCommand,
    reportCommand,
    watchCommand,
    inspectCommand,
    launchCommand,
    probesCommand,
    doctorCommand,
    fetchLibtorchCommand,
  ];
  for (const make of commands)
    program.addCommand(make(setStatus).option("--verbose", "print the stack of an error"));
  for (const command of [program, ...program.commands]) command.exitOverride().showHelpAfterError(false);
  return program;
}

/** Runs the command of these arguments and gives the exit code; errors are told on standard error. */
export async function run(args: readonly string[]): Promise<number> {
  let status: number = exitCodes.done;
  const program = await makeProgram((code) => {
    status = code;
  });
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
