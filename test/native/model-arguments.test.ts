import { describe, it } from "vitest";
import { addon, expectAllRejected, expectRejected, noCount, noHandle } from "./misuse.js";

const n = addon();
const mlp = { kind: "mlp", layerSizes: [2, 2], activation: "gelu", loss: "mse" };
const gpt2 = {
  kind: "gpt2",
  vocabularySize: 16,
  contextLength: 8,
  width: 8,
  layers: 1,
  heads: 2,
  innerWidth: 32,
  activation: "gelu_tanh",
  normEpsilon: 1e-5,
  tied: true,
};

describe("model descriptions", () => {
  it("are objects of a known kind with a known compute dtype", async () => {
    await expectAllRejected([...noHandle, new Proxy({}, {})], (d) => n.createModel(d, "float32"));
    await expectAllRejected(["float16", "", 32, undefined], (dtype) => n.createModel(mlp, dtype));
    await expectAllRejected(["gpt3", 1, null, "mlp\0"], (kind) => n.createModel({ ...mlp, kind }, "float32"));
  });

  it("have sizes", async () => {
    for (const key of ["vocabularySize", "contextLength", "width", "layers", "heads", "innerWidth"])
      await expectAllRejected([...noCount, 0], (value) =>
        n.createModel({ ...gpt2, [key]: value }, "float32"),
      );
    const lists = [
      [],
      [2],
      3,
      "23",
      { length: 2 },
      new Array(2 ** 32 - 1),
      new Int32Array(2),
      Object.assign([2], { length: 3 }),
    ];
    await expectAllRejected(lists, (layerSizes) => n.createModel({ ...mlp, layerSizes }, "float32"));
    await expectAllRejected([...noCount, 0], (size) =>
      n.createModel({ ...mlp, layerSizes: [2, size] }, "float32"),
    );
  });

  it("have sizes that belong together and fit into a memory", async () => {
    const huge = 2 ** 31 - 1;
    await expectRejected("heads", () => n.createModel({ ...gpt2, heads: 3 }, "float32"));
    await expectRejected("a matrix", () => n.createModel({ ...mlp, layerSizes: [huge, huge] }, "float32"));
    await expectRejected("a sum", () =>
      n.createModel({ ...mlp, layerSizes: Array(9).fill(2 ** 19) }, "float32"),
    );
    await expectRejected("a table", () =>
      n.createModel({ ...gpt2, vocabularySize: huge, width: huge - 1, heads: 2 }, "float32"),
    );
    await expectAllRejected([NaN, -1, "0", null], (normEpsilon) =>
      n.createModel({ ...gpt2, normEpsilon }, "float32"),
    );
    await expectAllRejected([1, "true", undefined], (tied) => n.createModel({ ...gpt2, tied }, "float32"));
    await expectAllRejected(["GELU", 1], (activation) => n.createModel({ ...mlp, activation }, "float32"));
    await expectAllRejected(["l1", 1], (loss) => n.createModel({ ...mlp, loss }, "float32"));
  });
});
