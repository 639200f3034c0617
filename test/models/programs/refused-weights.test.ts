import { describeRefusals, first, meta } from "./refusals.js";

describeRefusals({
  "stored tensors": [
    [
      "pickled",
      { weights: (config) => (first(config).use_pickle = true) },
      /"net\.0\.weight", which is pickled/,
    ],
    ["without a description", { weights: (config) => (first(config).tensor_meta = null) }, /pickled/],
    [
      "that are missing",
      { weights: (config) => delete config["net.0.bias"] },
      /a tensor "net\.0\.bias" in data/,
    ],
    [
      "whose member is missing",
      { weights: (config) => (first(config).path_name = "weight_99") },
      /weight_99/,
    ],
    ["elsewhere", { weights: (config) => (first(config).path_name = "../../byteorder") }, /without data/],
    ["with a great stride", meta((one) => (one.strides[0].as_int = 10 ** 12)), /bytes of "net\.0\.weight"/],
    [
      "whose extent is beyond 64 bits",
      meta((one) => {
        one.strides[0].as_int = 2 ** 52;
        one.sizes[0].as_int = 2 ** 52;
      }),
      /Expected \d{30,} bytes/,
    ],
    ["with a negative stride", meta((one) => (one.strides[0].as_int = -1)), /whole numbers/],
    ["with a negative size", meta((one) => (one.sizes[0].as_int = -8)), /whole numbers/],
    ["with a negative offset", meta((one) => (one.storage_offset.as_int = -1)), /whole numbers/],
    ["with an offset beyond the end", meta((one) => (one.storage_offset.as_int = 1)), /388 bytes .* 384/],
    ["with a size of 2⁶³", meta((one) => (one.sizes[0].as_int = 2 ** 63)), /whole numbers/],
    [
      "with a symbol for a size",
      meta((one) => (one.sizes[0] = { as_expr: { expr_str: "s0" } })),
      /but received an expression/,
    ],
    ["with strides missing", meta((one) => one.strides.pop()), /2 strides .* received 1/],
    ["that are expanded", meta((one) => (one.strides[0].as_int = 0)), /clone\(\)/],
    ["sparse", meta((one) => (one.layout = 1)), /layout sparse_coo/],
    ["complex", meta((one) => (one.dtype = 10)), /in complex64/],
    ["in float8", meta((one) => (one.dtype = 29)), /float8_e4m3fn/],
    ["of an unknown dtype", meta((one) => (one.dtype = 99)), /dtype 99/],
  ],
  parameters: [
    [
      "in bfloat16",
      meta((one) => (one.dtype = 13)),
      /float32 or float64 .* "net\.0\.weight" in bfloat16.*model\.float/,
    ],
    [
      "in integers",
      meta((one) => {
        one.dtype = 5;
        one.sizes[0].as_int = 6;
      }),
      /in int64/,
    ],
    [
      "of two dtypes",
      meta((one) => {
        one.dtype = 8;
        one.sizes[0].as_int = 6;
      }),
      /of one dtype .* in float64 and .* in float32/,
    ],
    [
      "transposed",
      meta((one) => {
        one.strides[0].as_int = 1;
        one.strides[1].as_int = 12;
      }),
      /contiguous\(\)/,
    ],
    [
      "that share some elements",
      {
        weights: (config) => {
          config["net.0.bias"].path_name = "weight_0";
          config["net.0.bias"].tensor_meta.storage_offset.as_int = 8;
        },
      },
      /"net\.0\.bias", which shares some/,
    ],
    [
      "tied and half frozen",
      {
        of: "tied",
        weights: (config) => {
          config["head.weight"].tensor_meta.requires_grad = false;
        },
      },
      /all are frozen, or none/,
    ],
    [
      "shared with a buffer",
      { of: "cnn-eval", weights: (config) => (config["norm.running_mean"].path_name = "weight_1") },
      /which shares some/,
    ],
  ],
});
