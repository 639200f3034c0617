export interface NativeDisposable {
  readonly disposed: boolean;
  dispose(): void;
}

/** Set to stop the job that it was given to, at the next micro-batch or layer. */
export interface NativeCancelToken {
  cancel(): void;
}

/** Of calls that stop at their next stretch of a few million numbers. */
export interface NativeCancelOptions {
  cancel?: NativeCancelToken;
}
