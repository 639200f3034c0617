import { AbortError, throwIfAborted } from "../errors.js";
import { nativeErrorCode } from "./errors.js";
import { native } from "./load.js";
import type { NativeCancelToken } from "./surface.js";

/**
 * Runs a native job that stops when the signal is aborted: at its next micro-batch or layer, or before it starts. Weights
 * are whole again when the promise settles. A job that was done before it noticed keeps its result.
 *
 * @throws AbortError with the signal's reason as its cause.
 */
export async function withSignal<T>(
  signal: AbortSignal | undefined,
  run: (cancel: NativeCancelToken | undefined) => Promise<T>,
): Promise<T> {
  if (!signal) return run(undefined);
  throwIfAborted(signal);
  const token = native().createCancelToken();
  const cancel = () => token.cancel();
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
