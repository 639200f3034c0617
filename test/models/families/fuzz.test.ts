import fc from "fast-check";
import { expect, test } from "vitest";
import { configureModel } from "../../../lib/models/configuration.js";
import { native } from "../../../lib/torch/load.js";
import { configOf, names } from "./cases.js";

/** Values that readers of configurations trip over. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(0, -1, 1.5, 1, 3, 1e308, 10_000, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 53, -0, NaN),
  fc.constantFrom<unknown>(null, true, false, "", "silu", "yarn", "\0", "__proto__", [], {}, [[]], [0, 1]),
  fc.jsonValue({ maxDepth: 2 }),
);
const some = fc.oneof({ arbitrary: fc.constantFrom(1, 2, 4, 0.5), weight: 4 }, { arbitrary: odd, weight: 1 });
const numbers = Object.fromEntries(
  [
    "rope_theta",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "attention_factor",
    "original_max_position_embeddings",
  ].map((key) => [key, some]),
);
const types = fc.oneof(
  { arbitrary: fc.constantFrom("default", "linear", "llama3", "yarn"), weight: 9 },
  { arbitrary: odd, weight: 1 },
);
const rotary = fc.record({ rope_type: types, ...numbers }, { requiredKeys: ["rope_type"] });
const changed = fc.constantFrom(...names).chain((name) => {
  const config = configOf(name);
  const key = fc.constantFrom(...Object.keys(config), "rope_scaling", "sliding_window", "head_dim");
  const values = fc.dictionary(key, odd, { maxKeys: 2 });
  const rope = fc.record({ rope_parameters: rotary, rope_scaling: rotary }, { requiredKeys: [] });
  return fc.oneof(values, rope).map((values) => ({ ...config, ...values }));
});

test("a configuration, whatever is in it, is a model or an error with a code", () => {
  let [models, errors] = [0, 0];
  fc.assert(
    fc.property(changed, (config) => {
      try {
        const { description } = configureModel(config);
        native().createModel(description, "float32").dispose();
        models++;
      } catch (error) {
        expect(error).toMatchObject({
          code: expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/),
          message: expect.stringMatching(/^Expected .+ for .+ but received /s),
        });
        errors++;
      }
    }),
    { numRuns: 5000, seed: 1 },
  );
  expect(Math.min(models, errors)).toBeGreaterThan(100);
});
