import type { TensorSource } from "../../files/index.js";
import type { NativeModel, NativeProgramDtype, ReadProgram } from "../../torch/index.js";

/** What a program's state_dict holds: the names of each parameter, and its buffers. */
export interface StateDict {
  /** Of each parameter: several, where it is tied. */
  names: readonly (readonly string[])[];
  buffers: readonly { name: string; stored: number; dtype: NativeProgramDtype; shape: readonly number[] }[];
  /** Whether a pass would give new buffers among its results, as decomposed programs do, in place of writing to them. */
  returnsBuffers: boolean;
}

export function stateDictOf({ names, buffers, description, returnsBuffers }: ReadProgram): StateDict {
  const described = buffers.flatMap(({ name, stored }) => {
    const tensor = description.stored[stored];
    return tensor ? [{ name, stored, dtype: tensor.dtype, shape: tensor.shape }] : [];
  });
  return { names, buffers: described, returnsBuffers };
}

/** All of it, so that load_state_dict finds every name: a tied parameter once for each of its own. */
export const stateSources = (
  state: StateDict,
  parameters: readonly TensorSource[],
  handle: NativeModel,
): TensorSource[] => [
  ...parameters.flatMap((source, i) => (state.names[i] ?? []).map((name) => ({ ...source, name }))),
  ...bufferSources(state, handle),
];

export const bufferSources = ({ buffers }: StateDict, handle: NativeModel): TensorSource[] =>
  buffers.map(({ stored, ...buffer }) => ({
    ...buffer,
    read: (offset, length) => handle.readBuffer(stored, offset, length),
  }));
