import { writeSafetensors } from "../../dist/files/safetensors-writer.js";

const dtypes = { inputs: "float32" };

/** Writes a batch file from what `Batch.tokens` or `Batch.examples` take. */
export async function writeBatch(file, { shape, inputIds, labels, inputs, targets }) {
  const integers = (values) => BigInt64Array.from(values, BigInt);
  const tensors = inputIds
    ? { input_ids: integers(inputIds), labels: integers(labels) }
    : { inputs, targets: integers(targets) };
  const sources = Object.entries(tensors).map(([name, { buffer }]) => ({
    name,
    dtype: dtypes[name] ?? "int64",
    shape: name === "inputs" ? [shape[0], inputs.length / shape[0]] : shape,
    read: async (offset, length) => buffer.slice(offset, offset + length),
  }));
  await writeSafetensors(file, sources);
}
