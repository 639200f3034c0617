import * as z from "zod";
import { CriticalSharpnessError } from "../errors.js";
import { type OptionsOf, readOptions } from "../options/index.js";
import { isRunning, type NativeGroup, native, Owner } from "../torch/index.js";
import { interfaceOf, launcherVariable, placeOf, processName } from "./environment.js";

const joinShape = {
  /** Seconds until all ranks must have come. Default 300. */
  joinTimeout: z.number().positive().max(1e6).default(300),
  /** Seconds that one rank waits for another, which may be reading data meanwhile. Default 1800. */
  timeout: z.number().positive().max(1e6).default(1800),
};
const joinSchema = z.strictObject(joinShape);

/** Options of `joinGroup`. */
export type JoinOptions = OptionsOf<typeof joinShape>;

/**
 * The processes that share a model: each keeps a part of its matrices, takes a share of every batch's micro-batches, and has the same
 * results as one process alone, bit for bit. Every rank runs the same program: calls of models and of what is made of them come in the
 * same order everywhere, and a difference is an error on all of them.
 */
export class Group extends Owner<NativeGroup> {
  /** This process's among those of its host. */
  readonly localRank: number;

  /** @internal */
  constructor(handle: NativeGroup, localRank: number) {
    super(handle);
    this.localRank = localRank;
  }

  /** 0 … size − 1. */
  get rank(): number {
    return this.handle.rank;
  }

  get size(): number {
    return this.handle.size;
  }

  /** Rank 0: the one that prints, and writes files. */
  get isFirst(): boolean {
    return this.rank === 0;
  }

  /** Seconds that this rank has waited for weights and gradients of others, in all: what a faster network could save. */
  get waited(): number {
    return this.handle.waited;
  }

  /** Waits until every rank has called this. How long that took, in milliseconds. @throws CriticalSharpnessError `ERR_RANK_LOST` */
  meet(): Promise<number> {
    return this.handle.meet();
  }

  /** Whether one of the ranks says so: by it they decide as one what each knows for itself. @throws CriticalSharpnessError `ERR_RANK_LOST` */
  any(mine: boolean): Promise<boolean> {
    return this.handle.any(mine);
  }
}

/** A process alone: its models are whole. */
const alone = (): NativeGroup => ({
  rank: 0,
  size: 1,
  waited: 0,
  disposed: false,
  dispose() {
    (this as { disposed: boolean }).disposed = true;
  },
  meet: async () => 0,
  any: async (mine) => mine,
  tryGather: async () => ({ milliseconds: 0, right: true, shared: true }),
});

/** How weights on a device come from the other ranks. */
export interface Transfers {
  device: string;
  /** What each rank receives in a second, in bytes; null: there is a problem. */
  rate: number | null;
  /** On one host, in memory that all ranks share: nothing need be sent but gradients. */
  shared: boolean;
  problem: string | null;
}

const gatheredBytes = 64 << 20;

/** @internal Tries a device's transfers between all ranks, which call this at the same place. */
export async function tryTransfers({ handle }: Group, device: string): Promise<Transfers> {
  try {
    await handle.tryGather(device, gatheredBytes); // the first opens connections
    const tries = [];
    for (let i = 0; i < 5; i++) tries.push(await handle.tryGather(device, gatheredBytes));
    const wrong = tries.some(({ right }) => !right);
    const [, , median] = tries.toSorted((a, b) => a.milliseconds - b.milliseconds);
    return {
      device,
      rate: wrong || !median ? null : (gatheredBytes * (handle.size - 1) * 1000) / median.milliseconds,
      shared: tries.every(({ shared }) => shared),
      problem: wrong ? "other bytes came than were sent" : null,
    };
  } catch (error) {
    return { device, rate: null, shared: false, problem: (error as Error).message };
  }
}

/** @internal What a model is made with: undefined for one process. */
export function nativeGroup(group: Group | undefined): NativeGroup | undefined {
  return group === undefined || group.size === 1 ? undefined : group.handle;
}

/**
 * Joins the other ranks of this run, as torchrun, srun, mpirun or `--ranks` say it in the environment. Alone, it is a group of one, with
 * which a program is the same.
 *
 * @throws CriticalSharpnessError `ERR_GROUP` where the environment is wrong, or naming the ranks that did not come.
 */
export async function joinGroup(options: JoinOptions = {}): Promise<Group> {
  const { joinTimeout, timeout } = readOptions(joinSchema, options);
  const place = placeOf();
  if (!place) return new Group(alone(), 0);
  endWithLauncher();
  const { rank, size, host, port, hasStore, listeningSocket, run, localRank } = place;
  const handle = await native().joinGroup({
    rank,
    size,
    localRank,
    host,
    port,
    hasStore,
    listeningSocket,
    prefix: run,
    interface: interfaceOf(place),
    name: processName(),
    joinTimeout: Math.ceil(joinTimeout * 1000),
    timeout: Math.ceil(timeout * 1000),
  });
  return new Group(handle, localRank);
}

/** Milliseconds that a rank without a launcher has to end its step, before it is told once more. */
const patience = 60_000;

/**
 * A rank whose launcher was killed must not stay behind.
 *
 * @throws CriticalSharpnessError `ERR_GROUP` if it was before.
 */
function endWithLauncher(): void {
  const launcher = process.env[launcherVariable];
  if (launcher === undefined) return;
  if (!isRunning(Number(launcher)))
    throw new CriticalSharpnessError(
      "ERR_GROUP",
      `Expected the launcher of this rank, process ${launcher}, but received none: it has ended, so start all ranks again`,
    );
  // Between the two there may be a shell.
  if (launcher !== String(process.ppid)) return;
  const watch = setInterval(() => {
    if (String(process.ppid) === launcher) return;
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
    setTimeout(() => process.kill(process.pid, "SIGTERM"), patience).unref();
  }, 500).unref();
}

/** @internal */
export const groupSchema = z.custom<Group>(
  (value) => value instanceof Group,
  "a Group, as joinGroup makes one",
);
