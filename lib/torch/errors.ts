/**
 * The codes of errors that come from the addon. Argument errors are a TypeError or a RangeError, the others an Error; the
 * message says what was expected and what was received.
 */
export const nativeErrors = {
  ERR_INVALID_ARG_TYPE: "an argument, or `this`, is of the wrong type",
  ERR_OUT_OF_RANGE: "an argument has a value, a length or a shape that cannot be used",
  ERR_MODEL_MISMATCH: "a vector, state or model belongs to a model with other parameters",
  ERR_MODEL_FILE: "a file of weights cannot be read or is too short",
  ERR_PROGRAM: "a program has what is not run, or an operator of it refuses a batch",
  ERR_OPTIMIZER_STATE: "a state tensor is missing",
  ERR_GROUP: "the ranks of a group do not find each other",
  ERR_RANKS_DIFFER: "a rank of the group calls something else, or with something else",
  ERR_RANK_LOST: "a rank of the group is gone, stopped, or failed",
  ERR_DEVICE: "this build or this machine has no such device",
  ERR_NO_WEIGHTS: "the model was neither initialised nor loaded",
  ERR_NO_GRADIENT: "the optimizer has accumulated no gradient",
  ERR_DISPOSED: "the object was disposed of",
  ERR_ILLEGAL_CONSTRUCTOR: "a native class was called; the addon's create… functions make objects",
  CANCELLED: "the job's cancel token was set, or the process is ending",
  ERR_SHUTDOWN: "the compute thread was shut down, so no job can start",
  ERR_OUT_OF_MEMORY: "an allocation failed",
  ERR_LIBTORCH: "libtorch reported an error",
  ERR_LIBTORCH_VERSION: "the libtorch in this process is not the one that the addon was built for",
  ERR_NATIVE: "any other exception of native code",
} as const;

export type NativeErrorCode = keyof typeof nativeErrors;

/** The code of an error of the addon; undefined for anything else that was thrown. */
export function nativeErrorCode(error: unknown): NativeErrorCode | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && Object.hasOwn(nativeErrors, code)
    ? (code as NativeErrorCode)
    : undefined;
}
