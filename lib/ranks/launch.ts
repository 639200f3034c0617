import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { launcherVariable, socketVariable } from "./environment.js";

/** How long the other ranks may go on after one has failed, and then to end after they were told to, milliseconds. */
const patience = 5000;
const grace = 5000;

interface Ended {
  rank: number;
  code: number;
}

/**
 * Runs a command as so many ranks on this host, which find each other by joinGroup(), and waits for all. Rank 0 has this process's
 * streams; what others print comes to standard error, a line at a time, with their rank before it. When one fails, or this process is
 * told to end, the others are ended.
 *
 * @param answers exit codes that are no failure: rank 0's is the answer
 * @returns the exit code of the rank that failed first, else rank 0's. A signal counts 128 and its number, as in a shell.
 */
export async function launchRanks(
  size: number,
  [file, ...given]: readonly [string, ...string[]],
  answers: readonly number[] = [0],
): Promise<number> {
  const fails = ({ code }: Ended) => !answers.includes(code);
  const { socket, port, release } = await openSocket();
  const threads = String(Math.max(1, Math.floor(os.availableParallelism() / size)));
  const children = Array.from({ length: size }, (_, rank) =>
    spawn(file, given, {
      stdio: rank === 0 ? ["inherit", "inherit", "inherit", socket] : ["ignore", "pipe", "pipe"],
      env: {
        OMP_NUM_THREADS: threads,
        ...process.env,
        RANK: String(rank),
        WORLD_SIZE: String(size),
        LOCAL_RANK: String(rank),
        LOCAL_WORLD_SIZE: String(size),
        MASTER_ADDR: "127.0.0.1",
        MASTER_PORT: String(port),
        [launcherVariable]: String(process.pid),
        ...(rank === 0 && { [socketVariable]: "3" }),
      },
    }),
  );
  release();
  for (const [rank, child] of children.entries()) {
    if (rank === 0) continue;
    for (const stream of [child.stdout, child.stderr])
      prefix(stream as Readable, `rank ${rank}: `, process.stderr);
  }
  const signals = forwardSignals(children);
  try {
    const ends = children.map((child, rank) => endOf(child, rank));
    const first = await Promise.race([
      ...ends.map(async (end) => (fails(await end) ? end : new Promise<never>(() => {}))),
      // The last one to end may be the one that fails.
      Promise.all(ends).then((all) => all.find(fails) ?? (all[0] as Ended)),
    ]);
    if (fails(first)) {
      if (!signals.seen)
        process.stderr.write(
          `error: rank ${first.rank} ended with code ${first.code}; the others are ended\n`,
        );
      await endAll(children, ends);
    }
    return first.code;
  } finally {
    signals.stop();
  }
}

/** A listening socket on a free port, for a child to inherit: nobody takes the port meanwhile. `release` is called once it has. */
async function openSocket(): Promise<{ socket: number; port: number; release(): void }> {
  const server = net.createServer().listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  return { socket: fd, port: (server.address() as AddressInfo).port, release: () => server.close() };
}

function prefix(from: Readable, before: string, to: Writable): void {
  createInterface({ input: from }).on("line", (line) => to.write(`${before}${line}\n`));
}

async function endOf(child: ChildProcess, rank: number): Promise<Ended> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      process.stderr.write(
        `error: Expected a command that can be started for rank ${rank} but received: ${error.message}\n`,
      );
      resolve({ rank, code: 127 });
    });
    child.once("close", (code, signal) =>
      resolve({ rank, code: code ?? 128 + os.constants.signals[signal ?? "SIGKILL"] }),
    );
  });
}

/** Ends the ranks that are left: first they have time to say what they saw of it. */
async function endAll(children: readonly ChildProcess[], ends: readonly Promise<Ended>[]): Promise<void> {
  const kill = (signal: NodeJS.Signals) => {
    for (const child of children)
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  };
  const timers = [setTimeout(kill, patience, "SIGTERM"), setTimeout(kill, patience + grace, "SIGKILL")];
  await Promise.all(ends);
  for (const timer of timers) clearTimeout(timer);
}

/** Passes on the signals that ask this process to end, until `stop`. `seen`: whether one has come. */
function forwardSignals(children: readonly ChildProcess[]): { readonly seen: boolean; stop(): void } {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let seen = false;
  const handlers = signals.map((signal) => {
    const forward = () => {
      seen = true;
      // A terminal's Ctrl-C goes to all of its processes by itself.
      if (signal === "SIGINT" && process.stdin.isTTY) return;
      for (const child of children) child.kill(signal);
    };
    process.on(signal, forward);
    return [signal, forward] as const;
  });
  return {
    get seen() {
      return seen;
    },
    stop() {
      for (const [signal, forward] of handlers) process.off(signal, forward);
    },
  };
}
