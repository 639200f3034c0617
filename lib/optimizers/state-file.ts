import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import { floatingDtype, floatingDtypes, readSafetensorsHeader, writeSafetensors } from "../files/index.js";
import { type FileTensor, type NativeVector, native, withSignal } from "../torch/index.js";

import type { Optimizer } from "./optimizer.js";
import { badState } from "./stored/stored-optimizer.js";

/** Writes an optimizer's state tensors, its kind and its count of gradients. */
export async function writeState(
  file: string,
  { handle, model, kind }: Optimizer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const dtype = model.handle.vectorDtype;
  const state = await handle.state();
  // What was asked for before has been done now.
  const { steps } = handle;
  try {
    const { roles } = handle;
    const sources = Object.entries(state).flatMap(([role, vector]) =>
      model.parameters.flatMap(({ name, shape }, index) =>
        roles[index]?.includes(role)
          ? {
              name: `${role}.${name}`,
              shape,
              dtype,
              read: (offset: number, length: number) => vector.read(index, offset, length),
            }
          : [],
      ),
    );
    await writeSafetensors(file, sources, {
      metadata: { optimizer: kind, steps: String(steps) },
      signal,
      rank: model.handle.rank,
      // It is written from where it is, which no copy of it need be held for.
      check() {
        if (handle.steps === steps) return;
        throw new CriticalSharpnessError(
          "ERR_OPTIMIZER_STATE",
          `Expected no gradient while the optimizer state "${file}" is written but received one`,
        );
      },
    });
  } finally {
    for (const vector of Object.values(state)) vector.dispose();
  }
}

/** @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` naming what does not fit; AbortError. */
export async function readState(
  file: string,
  { handle, model, kind }: Optimizer,
  signal: AbortSignal | undefined,
): Promise<void> {
  throwIfAborted(signal);
  const { tensors, metadata } = await readSafetensorsHeader(file);
  const bad = (what: string, received: string, cause?: unknown) => badState(file, what, received, cause);
  if (metadata.optimizer !== kind)
    throw bad(`state of "${kind}"`, `state of "${metadata.optimizer ?? "no optimizer"}"`);
  const steps = /^\d+$/.test(metadata.steps ?? "") ? Number(metadata.steps) : NaN;
  if (!Number.isSafeInteger(steps))
    throw bad("a count of steps in its metadata", JSON.stringify(metadata.steps) ?? "none");

  const { roles: own } = handle;
  const roles = steps === 0 ? [] : [...new Set(own.flat())];
  const isKnown = (tensor: string) => model.parameters.some(({ name }) => tensor.endsWith(`.${name}`));
  const surplus = [...tensors.keys()].find((tensor) => !isKnown(tensor));
  if (surplus !== undefined) throw bad("only tensors of the model's parameters", `"${surplus}"`);
  const state: Record<string, NativeVector> = {};
  try {
    for (const role of roles) {
      const places = model.parameters.map(({ name, shape }, index): FileTensor | null => {
        if (!own[index]?.includes(role)) return null;
        const tensor = tensors.get(`${role}.${name}`);
        if (!tensor) throw bad(`a tensor "${role}.${name}"`, "none of that name");
        const dtype = floatingDtype(tensor);
        if (!dtype) throw bad(`${floatingDtypes} in tensor "${tensor.name}"`, tensor.dtype);
        if (String(tensor.shape) !== String(shape))
          throw bad(`shape [${shape}] of tensor "${tensor.name}"`, `[${tensor.shape}]`);
        return { path: file, byteOffset: tensor.byteOffset, dtype };
      });
      state[role] = await withSignal(signal, (cancel) =>
        native().loadVector(model.handle, places, { cancel }),
      );
    }
    throwIfAborted(signal);
    await handle.restore(steps, state).catch((error: Error & { code?: string }) => {
      throw error.code === "ERR_OPTIMIZER_STATE" ? bad("all state tensors", error.message, error) : error;
    });
  } finally {
    for (const vector of Object.values(state)) vector.dispose();
  }
}
