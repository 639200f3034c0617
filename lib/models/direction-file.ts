import path from "node:path";
import { type CriticalSharpnessError, unusable } from "../errors.js";
import { adapterRemedy, floatingDtype, floatingDtypes, readSafetensorsHeader } from "../files/index.js";
import type { FileTensor } from "../torch/index.js";
import type { Parameter } from "./parameters.js";

/**
 * Of each parameter, where a safetensors file has its part of a direction; null where it has none.
 *
 * @throws CriticalSharpnessError `ERR_SAFETENSORS`, `ERR_DIRECTION_FILE` naming file and tensor.
 */
export async function locateDirection(
  file: string,
  parameters: readonly Parameter[],
): Promise<(FileTensor | null)[]> {
  const { tensors } = await readSafetensorsHeader(file);
  const names = new Set(parameters.map((p) => p.name));
  for (const name of tensors.keys())
    if (!names.has(name))
      throw mismatch(
        file,
        "only tensors named as the model's parameters",
        /\.lora_[AB]\b/.test(name)
          ? `"${name}", of a PEFT adapter: ${adapterRemedy(undefined, path.dirname(file))}`
          : `"${name}"`,
      );
  const places = parameters.map(({ name, shape }): FileTensor | null => {
    const tensor = tensors.get(name);
    if (!tensor) return null;
    const dtype = floatingDtype(tensor);
    if (!dtype) throw mismatch(file, `${floatingDtypes} in tensor "${name}"`, tensor.dtype);
    if (String(tensor.shape) !== String(shape))
      throw mismatch(file, `shape [${shape}] of tensor "${name}"`, `[${tensor.shape}]`);
    return { path: file, byteOffset: tensor.byteOffset, dtype };
  });
  if (places.every((p) => p === null))
    throw mismatch(file, "a tensor for at least one of the model's parameters", "none");
  return places;
}

function mismatch(file: string, what: string, received: string): CriticalSharpnessError {
  return unusable("ERR_DIRECTION_FILE", what, `the direction "${file}"`, received);
}
