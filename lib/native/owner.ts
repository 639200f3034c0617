import type { NativeDisposable } from "./surface.js";

/**
 * An object whose memory lies outside JavaScript's heap. Dispose of it when it is no longer needed, or declare it with
 * `using`: the garbage collector frees it too, but late, since it sees only a small object.
 */
export abstract class Owner<Handle extends NativeDisposable> {
  /** @internal */
  readonly handle: Handle;

  /** @internal */
  constructor(handle: Handle) {
    this.handle = handle;
  }

  get disposed(): boolean {
    return this.handle.disposed;
  }

  /** Frees its memory; what is under way with it finishes first. Using it afterwards is an error (`ERR_DISPOSED`). */
  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
