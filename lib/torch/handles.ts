import { AbortError } from "../errors.js";
import { checkOptions, checkSignal } from "../options/index.js";
import { nativeErrorCode } from "./errors.js";
import { native } from "./load.js";
import type { NativeCancelOptions, NativeCancelToken, NativeDisposable } from "./surface/handle.js";

/** The signal of what each rank does for itself: none, where there are several, as one of them must not leave what the others go on with. */
export function ownSignal(
  signal: AbortSignal | undefined,
  { ranks }: { readonly ranks: number },
): AbortSignal | undefined {
  return ranks > 1 ? undefined : signal;
}

/**
 * Runs a native job that stops when the signal is aborted: at its next micro-batch, layer or stretch of a few million numbers,
 * or before it starts. Weights are whole again when the promise settles. A job that was done before it noticed keeps its result.
 * Over ranks the job tells the others, so that it is begun in any case.
 *
 * @throws AbortError with the signal's reason as its cause.
 */
export async function withSignal<T>(
  signal: AbortSignal | undefined,
  run: (cancel: NativeCancelToken | undefined) => Promise<T>,
): Promise<T> {
  if (!signal) return run(undefined);
  const token = native().createCancelToken();
  const cancel = () => token.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    return await run(token);
  } catch (error) {
    // Jobs are also cancelled when the process ends; that is nobody's abort.
    if (signal.aborted && nativeErrorCode(error) === "CANCELLED") throw new AbortError(signal);
    throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** Of a call that can be stopped. */
export interface SignalOptions {
  /** Stops the call: it rejects with an AbortError and leaves nothing half done. */
  signal?: AbortSignal;
}

/** The signal of a call's options. @throws TypeError */
export function signalOf(options: unknown): AbortSignal | undefined {
  return checkSignal(checkOptions(options, "options").signal, "options.signal");
}

/** `withSignal` by the signal of a call's options. `own`: of what the job is, where each rank does it for itself. */
export async function stoppable<T>(
  options: SignalOptions | undefined,
  run: (cancel: NativeCancelOptions) => Promise<T>,
  own: { readonly ranks: number } = { ranks: 1 },
): Promise<T> {
  return withSignal(ownSignal(signalOf(options), own), (cancel) => run({ cancel }));
}

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
