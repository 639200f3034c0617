import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { edited, fixture, type Json } from "./archives.js";
import {
  argument,
  describeRefusals,
  graphOf,
  inputMeta,
  member,
  nodeOf,
  refusal,
  specsOf,
} from "./refusals.js";

describeRefusals({
  signatures: [
    [
      "a custom object",
      {
        model: (model) =>
          (specsOf(model).input_specs[0] = { custom_obj: { arg: {}, custom_obj_name: "queue" } }),
      },
      /a custom_obj/,
    ],
    ["a token", { model: (model) => (specsOf(model).input_specs[0] = { token: { arg: {} } }) }, /a token/],
    [
      "an integer that varies",
      {
        model: (model) => {
          const spec = specsOf(model).input_specs.at(-1);
          spec.user_input.arg = { as_sym_int: { as_name: "n" } };
        },
      },
      /tensors as forward's arguments .* kind sym_int/,
    ],
    ["too few", { model: (model) => specsOf(model).input_specs.pop() }, /8 inputs .* one of 7/],
    [
      "in another order",
      { model: (model) => specsOf(model).input_specs.reverse() },
      /in order .* "targets" in place 0/,
    ],
    [
      "a write to an input",
      {
        model: (model) =>
          (specsOf(model).output_specs[0] = { user_input_mutation: { arg: {}, user_input_name: "inputs" } }),
      },
      /user_input_mutation/,
    ],
    [
      "a write to a parameter",
      { model: (model) => (specsOf(model).output_specs[0] = { parameter_mutation: {} }) },
      /parameter_mutation/,
    ],
    ["no outputs", { model: (model) => (specsOf(model).output_specs = []) }, /graph's 1 outputs/],
  ],
  inputs: [
    [
      "a size that is an expression",
      inputMeta((one) => (one.sizes[0] = { as_expr: { expr_str: "Mul(Integer(2), Symbol('s24'))" } })),
      /Mul\(Integer\(2\), Symbol\('s24'\)\) along axis 0 of "inputs": .*Dim\.STATIC/,
    ],
    ["a negative size", inputMeta((one) => (one.sizes[1].as_int = -8)), /-8 along axis 1/],
    ["complex", inputMeta((one) => (one.dtype = 10)), /input "inputs" in complex64/],
    ["sparse", inputMeta((one) => (one.layout = 2)), /input "inputs" with the layout sparse_csr/],
    [
      "without sizes",
      { model: (model) => delete graphOf(model).tensor_values.inputs },
      /"inputs" in tensor_values/,
    ],
    [
      "an empty range",
      { model: (model) => ((Object.values(model.range_constraints)[0] as Json).max_val = 1) },
      /from 2 to 1/,
    ],
  ],
  graphs: [
    [
      "a value that nobody defines",
      argument({ as_tensor: { name: "nobody" } }),
      /"nobody", an argument of torch\.ops\.aten\.linear/,
    ],
    [
      "a value before it is defined",
      argument({ as_tensor: { name: "gelu" } }),
      /defined before they are read/,
    ],
    [
      "a value twice",
      { model: (model) => (nodeOf(model).outputs[0].as_tensor.name = "inputs") },
      /"inputs" a second time/,
    ],
    ["__proto__", argument({ as_tensor: { name: "__proto__" } }), /"__proto__"/],
    [
      "complex numbers",
      argument({ as_complex: { real: 0, imag: 1 } }),
      /kind complex of torch\.ops\.aten\.linear\.default \(\w+\.py, line \d+\)/,
    ],
    ["operators as arguments", argument({ as_operator: "torch.ops.aten.add" }), /kind operator/],
    ["custom objects", argument({ as_custom_obj: { name: "a", class_fqn: "b" } }), /kind custom_obj/],
    ["two kinds at once", argument({ as_int: 1, as_none: true }), /kind int and as_none/],
    ["no kind", argument({}), /kind nothing/],
    [
      "integers that JSON cannot hold",
      argument({ as_int: 2 ** 60 }),
      /an integer \(up to 2⁵³.*1152921504606847000/,
    ],
    ["halves as integers", argument({ as_int: 0.5 }), /an integer/],
    ["words as numbers", argument({ as_float: "Infinite" }), /a number/],
    ["a sparse layout", argument({ as_layout: 1 }), /sparse_coo/],
    ["a complex dtype", argument({ as_scalar_type: 9 }), /complex32/],
    ["a memory format of the future", argument({ as_memory_format: 9 }), /the code 9/],
    [
      "an argument twice",
      { model: (model) => nodeOf(model).inputs.push(nodeOf(model).inputs[0]) },
      /"input" twice of/,
    ],
    [
      "a list of words as a result",
      { model: (model) => (nodeOf(model).outputs[0] = { as_strings: ["a"] }) },
      /a result of the kind strings/,
    ],
    [
      "graphs without end",
      {
        model: (model) => {
          let inner: Json = { inputs: [], outputs: [], nodes: [], tensor_values: {} };
          for (let depth = 0; depth < 40; depth++) {
            const node = {
              target: "a",
              inputs: [{ name: "", arg: { as_graph: { graph: inner } } }],
              outputs: [],
            };
            inner = { ...inner, nodes: [node] };
          }
          graphOf(model).nodes.unshift(...inner.nodes);
        },
      },
      /graphs at most 16 deep/,
    ],
  ],
  "model.json": [
    [
      "another version",
      { model: (model) => (model.schema_version.major = 9) },
      /version 8 .* version 9\.\d+/,
    ],
    ["no version", { model: (model) => delete model.schema_version }, /model\.schema_version/],
    [
      "not JSON",
      member("/model.json", (one) => (one.bytes = Buffer.from("{"))),
      /JSON in models\/model\.json/,
    ],
    [
      "another value",
      member("/model.json", (one) => (one.bytes = Buffer.from("3"))),
      /Expected an? .* for model but received 3/,
    ],
    [
      "nested without end",
      member("/model.json", (one) => (one.bytes = Buffer.from("[".repeat(200_000) + "]".repeat(200_000)))),
      /for model/,
    ],
    ["no target", { model: (model) => delete nodeOf(model).target }, /nodes\[0\]\.target/],
    ["no arguments", { model: (model) => (nodeOf(model).inputs = "none") }, /nodes\[0\]\.inputs .*linear/],
  ],
});

describe("what forward returns", () => {
  it.each([
    ["sum-and-weight", "loss", /the loss alone.*2 outputs/],
    ["sum-and-weight", "mean-of-rows", /the mean of the rows' losses.*2 outputs/],
    ["mlp", "sum-and-weight", /two numbers.*1 output$/],
    ["rows", "mean-of-rows", /one number.*a tensor of 1 axes/],
  ] as const)("%s is refused for %s", async (name, reduction, message) => {
    expect(await refusal(readFileSync(fixture(name)), { reduction })).toMatch(message);
  });

  it.each([
    ["logits", (meta: Json) => meta.sizes.push({ as_int: 3 }, { as_int: 3 }), /a tensor of 2 axes/],
    ["classes", (meta: Json) => (meta.dtype = 5), /a tensor in int64/],
  ])("%s are no loss", async (_, change, message) => {
    const model = (json: Json) => change(graphOf(json).tensor_values.cross_entropy_loss);
    expect(await refusal(edited("mlp", { model }))).toMatch(message);
  });

  it.each([{ as_none: true }, { as_int: 3 }])("%j is no loss", async (output) => {
    const model = (json: Json) => (graphOf(json).outputs[0] = output);
    expect(await refusal(edited("mlp", { model }))).toMatch(/the loss alone/);
  });
});
