import type { NativeDisposable } from "./handle.js";

/** Where the ranks of a group find each other. Times in milliseconds. */
export interface NativeRendezvous {
  /** Rank 0's. */
  host: string;
  port: number;
  rank: number;
  size: number;
  /** Among those of this host: a model on "cuda" is on the CUDA device of that number, or on the only one there is. */
  localRank: number;
  /** Another process keeps the store at that address, as torchrun's agent does. */
  hasStore: boolean;
  /** An open socket for rank 0 to listen on; -1: it opens one. */
  listeningSocket: number;
  /** Sets groups at one address apart. */
  prefix: string;
  /** The network interface to the other ranks; "": this host's default. */
  interface: string;
  /** What messages call this rank. */
  name: string;
  joinTimeout: number;
  timeout: number;
}

/** The processes that share a model. */
export interface NativeGroup extends NativeDisposable {
  readonly rank: number;
  readonly size: number;
  /** Seconds that this rank has waited for weights and gradients of others, in all. */
  readonly waited: number;
  /** Waits for all ranks. How long that took, in milliseconds. */
  meet(): Promise<number>;
  /** Whether one of the ranks says so. */
  any(mine: boolean): Promise<boolean>;
  /** A gather of so many bytes from every rank, on a device. `shared`: weights there are read where another rank has written them. */
  tryGather(
    device: string,
    length: number,
  ): Promise<{ milliseconds: number; right: boolean; shared: boolean }>;
}
