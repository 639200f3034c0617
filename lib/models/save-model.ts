import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { expected, throwIfAborted } from "../errors.js";
import { type TensorSource, writeSafetensors, writing } from "../files/index.js";
import { type NativeModel, ownSignal, type SignalOptions, signalOf } from "../torch/index.js";
import { type AdaptedModel, peftName } from "./adapters/adapter-model.js";
import type { Parameter } from "./parameters.js";
import { type StateDict, stateSources } from "./programs/state-dict.js";

/** A model as files have it. */
interface SavedModel {
  handle: NativeModel;
  parameters: readonly Parameter[];
  /** Its config.json. */
  configuration: Record<string, unknown>;
  /** Of a program. */
  state: StateDict | undefined;
  adapter: AdaptedModel | undefined;
}

/** Writes a model's weights and its configuration into a directory, each whole or not at all. @throws as `Model.save` */
export async function saveModel(model: SavedModel, directory: string, options: SignalOptions): Promise<void> {
  const { handle, parameters, adapter } = model;
  const signal = ownSignal(signalOf(options), handle);
  throwIfAborted(signal);
  const dtype = handle.parameterDtype;
  if (adapter) requireAdapterAlone(parameters, adapter);
  const { rank } = handle;
  if (rank === 0) await writing(directory, () => mkdir(directory, { recursive: true }));
  const all = parameters.map(
    ({ name, shape }, index): TensorSource => ({
      name,
      shape,
      dtype,
      read: (offset, length) => handle.read(index, offset, length),
    }),
  );
  const { weights, sources, file, content } = filesOf(model, all);
  await writeSafetensors(path.join(directory, weights), sources, { signal, rank });
  if (rank > 0) return;
  const target = path.join(directory, file);
  await writing(target, async () => {
    await writeFile(`${target}.tmp`, `${JSON.stringify(content, null, 2)}\n`);
    await rename(`${target}.tmp`, target);
  });
}

/** What is written: tensors of these, and a configuration. */
function filesOf({ handle, configuration, state, adapter }: SavedModel, all: readonly TensorSource[]) {
  if (adapter) {
    const { places, file } = adapter;
    const sources = all.filter(({ name }) => places.has(name));
    return {
      weights: "adapter_model.safetensors",
      sources: sources.map((source) => ({ ...source, name: peftName(source.name) })),
      file: "adapter_config.json",
      content: file,
    };
  }
  return {
    weights: "model.safetensors",
    sources: state ? stateSources(state, all, handle) : all,
    file: "config.json",
    content: configuration,
  };
}

/** @throws RangeError where parameters of the model's own are trained too: the adapter's folder has no place for them. */
function requireAdapterAlone(parameters: readonly Parameter[], { places }: AdaptedModel): void {
  const own = parameters.find(({ name, trainable }) => trainable && !places.has(name));
  if (own)
    throw expected(
      "a model of which the adapter alone is trained, to be saved,",
      "the model",
      own.name,
      "range",
    );
}
