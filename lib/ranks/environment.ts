import os from "node:os";
import { CriticalSharpnessError } from "../errors.js";

/** Where this process stands among the ranks of a run. */
export interface Place {
  rank: number;
  size: number;
  /** The same among the ranks of this host. */
  localRank: number;
  localSize: number;
  /** Where rank 0, or the launcher, keeps the store by which ranks find each other. */
  host: string;
  port: number;
  /** The launcher keeps it. */
  hasStore: boolean;
  /** A socket of the launcher's that rank 0 listens on; -1: none. */
  listeningSocket: number;
  /** Sets runs at one address apart. */
  run: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables by which a launcher says rank and size, and those of this host. */
const launchers = [
  {
    rank: "RANK",
    size: "WORLD_SIZE",
    localRank: "LOCAL_RANK",
    localSize: "LOCAL_WORLD_SIZE",
  },
  {
    rank: "OMPI_COMM_WORLD_RANK",
    size: "OMPI_COMM_WORLD_SIZE",
    localRank: "OMPI_COMM_WORLD_LOCAL_RANK",
    localSize: "OMPI_COMM_WORLD_LOCAL_SIZE",
  },
  // A batch script has the job's number of tasks, and is none of them: only a step's are.
  {
    rank: "SLURM_PROCID",
    size: "SLURM_STEP_NUM_TASKS",
    localRank: "SLURM_LOCALID",
    localSize: "SLURM_STEP_TASKS_PER_NODE",
  },
] as const;

/** @internal The variable by which `--ranks` hands its socket to rank 0. */
export const socketVariable = "CRITICAL_SHARPNESS_STORE_SOCKET";

/** @internal The variable by which it says its own process to all ranks. */
export const launcherVariable = "CRITICAL_SHARPNESS_LAUNCHER";

function groupError(message: string): CriticalSharpnessError {
  return new CriticalSharpnessError("ERR_GROUP", message);
}

function integer(environment: Environment, name: string, least: number): number {
  const text = environment[name] ?? "";
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw groupError(
    `Expected an integer of at least ${least} for the environment's ${name} but received "${text}": start with --ranks, torchrun --no-python, or srun`,
  );
}

/** The first host of a list as SLURM writes it: "gpu[03-05,9],login" begins with gpu03. */
export function firstHost(list: string): string {
  const [, prefix = "", inner] = /^([^,[\]]+)(?:\[([^\]]*)\])?/.exec(list) ?? [];
  return inner === undefined ? prefix : prefix + (/^[^-,]+/.exec(inner)?.[0] ?? "");
}

/**
 * What the environment says: torchrun's variables, Open MPI's, SLURM's. Undefined: this process is alone.
 *
 * @throws CriticalSharpnessError `ERR_GROUP` naming the variable that is missing or wrong.
 */
export function placeOf(environment: Environment = process.env): Place | undefined {
  const launcher = launchers.find(
    ({ rank, size }) => environment[rank] !== undefined && environment[size] !== undefined,
  );
  if (!launcher) {
    const half = ["RANK", "WORLD_SIZE"].find((name) => environment[name] !== undefined);
    if (half === undefined) return undefined;
    throw groupError(
      `Expected RANK and WORLD_SIZE in the environment but received ${half} alone: start with --ranks, torchrun --no-python, or srun`,
    );
  }
  const size = integer(environment, launcher.size, 1);
  const rank = integer(environment, launcher.rank, 0);
  if (rank >= size)
    throw groupError(
      `Expected ${launcher.rank} below ${launcher.size} in the environment but received ${rank} of ${size}`,
    );
  if (size === 1) return undefined;
  const slurm = launcher.rank === "SLURM_PROCID";
  const host =
    environment.MASTER_ADDR ??
    (slurm
      ? firstHost(environment.SLURM_STEP_NODELIST ?? environment.SLURM_JOB_NODELIST ?? "") || undefined
      : undefined);
  if (host === undefined)
    throw groupError("Expected rank 0's host for the environment's MASTER_ADDR but received none");
  const port =
    environment.MASTER_PORT === undefined && slurm
      ? 15_000 + (integer(environment, "SLURM_JOB_ID", 0) % 20_000)
      : integer(environment, "MASTER_PORT", 0);
  return {
    rank,
    size,
    localRank:
      environment[launcher.localRank] === undefined ? 0 : integer(environment, launcher.localRank, 0),
    // SLURM writes a list such as "4(x2)", of which the first is this host's or none of our business.
    localSize: Number.parseInt(environment[launcher.localSize] ?? "", 10) || 1,
    host,
    port,
    hasStore: environment.TORCHELASTIC_USE_AGENT_STORE === "True",
    listeningSocket:
      rank === 0 && environment[socketVariable] !== undefined ? integer(environment, socketVariable, 0) : -1,
    run: [
      "critical-sharpness",
      environment.TORCHELASTIC_RUN_ID ?? environment.SLURM_JOB_ID ?? "",
      environment.TORCHELASTIC_RESTART_COUNT ?? environment.SLURM_STEP_ID ?? "",
    ].join("/"),
  };
}

/** Whether a launcher started this process as one of several. */
export function isRank(): boolean {
  return placeOf() !== undefined;
}

/** What messages call this process. */
export function processName(): string {
  return `${os.hostname()}, process ${process.pid}`;
}

/** The interface to the other ranks: Gloo's own variable, or, where all are on one host, its loopback. "": the host's default. */
export function interfaceOf(place: Place, environment: Environment = process.env): string {
  const chosen = environment.GLOO_SOCKET_IFNAME;
  if (chosen !== undefined) return chosen.split(",")[0] as string;
  if (place.localSize < place.size) return "";
  const loopback = Object.entries(os.networkInterfaces()).find(([, addresses]) =>
    addresses?.some(({ internal, family }) => internal && family === "IPv4"),
  );
  return loopback?.[0] ?? "";
}
