// A perceptron and examples for it of two teachers, and the optimizer of the sweeps.
import { Batch, createModel, random } from "../../dist/index.js";

export const adamw = { betas: [0.9, 0.95], weightDecay: 0.1 };

/** Batches of a function, of which the one before is no longer needed. */
function each(draw) {
  let last;
  return (index) => {
    last?.dispose();
    last = draw(index);
    return last;
  };
}

const features = 4;
export const perceptron = await createModel(
  { model_type: "mlp", layer_sizes: [features, 8, 1], activation: "gelu", loss: "mse" },
  { seed: 3 },
);
/** Examples of two teachers, "a" and "b", that share one of two features. */
export function drawn(key, teacher, examples, index) {
  const draw = random("bench mix", key, index);
  const inputs = Float32Array.from({ length: examples * features }, () => draw.normal());
  const sign = teacher === "a" ? 1 : -1;
  const targets = Float32Array.from(
    { length: examples },
    (_, i) => sign * inputs[i * features] + inputs[i * features + 1] + 0.5 * draw.normal(),
  );
  return { inputs, targets };
}
export const examplesOf = (key, teacher, size) =>
  each((index) => Batch.examples({ ...drawn(key, teacher, size, index), shape: [size] }));
