import { writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { createModel, type Model } from "../../lib/models/index.js";
import { AdamW, type Optimizer, Sgd } from "../../lib/optimizers/index.js";
import { failure, temporaryFolder } from "../data/helpers.js";
import {
  badArgument,
  float32,
  int64,
  mlp,
  pack,
  type RawTensor,
  raw,
  safetensors,
  unpack,
} from "../models/files.js";
import { batchOf, network, registered, values } from "./network.js";

const file = path.join(temporaryFolder(), "state.safetensors");
/** Roles that are given are those of every parameter; of the others, native code says which. */
const kinds: Record<string, { roles?: string[]; make: (model: Model) => Optimizer }> = {
  SGD: { roles: ["momentum"], make: (m) => new Sgd(m, { learningRate: 0.1 }) },
  momentum: {
    roles: ["momentum"],
    make: (m) => new Sgd(m, { learningRate: 0.1, momentum: 0.9, weightDecay: 0.1 }),
  },
  Nesterov: {
    roles: ["gradient", "momentum"],
    make: (m) => new Sgd(m, { learningRate: 0.1, momentum: 0.9, nesterov: true }),
  },
  AdamW: { roles: ["exp_avg", "exp_avg_sq"], make: (m) => new AdamW(m, { learningRate: 0.01 }) },
  ...Object.fromEntries(Object.entries(registered).map(([type, make]) => [type, { make }])),
};

async function train(model: Model, optimizer: Optimizer, from: number, to: number): Promise<void> {
  for (let t = from; t < to; t++) {
    await optimizer.accumulate(await model.gradient(batchOf(t)));
    await optimizer.step();
  }
}

describe.each(Object.entries(kinds))("the state of %s", (_, { roles, make }) => {
  test.each(["float32", "float64"] as const)(
    "goes on from a file as if nothing had been, %s",
    async (dtype) => {
      const { model } = await network(dtype);
      const optimizer = make(model);
      await train(model, optimizer, 0, 3);
      await optimizer.save(file);
      await model.save(path.join(path.dirname(file), "model"));
      const tensors = await unpack(file);
      expect(Object.keys(tensors).sort()).toEqual(
        model.parameters
          .flatMap(({ name }, i) =>
            (roles ?? (optimizer.handle.roles[i] as string[])).map((role) => `${role}.${name}`),
          )
          .sort(),
      );

      const again = (await network(dtype)).model;
      const restored = make(again);
      await train(again, restored, 0, 3); // the same weights, with another state on the way
      await restored.accumulate(await again.gradient(batchOf(9)));
      await restored.load(file);
      expect(restored.steps).toBe(3);
      expect(await values(await restored.direction())).toEqual(await values(await optimizer.direction()));
      const preconditionerOf = async (own: Optimizer) => {
        const diagonal = own.hasMetric ? await own.preconditioner() : null;
        return diagonal && (await values(diagonal));
      };
      expect(await preconditionerOf(restored)).toEqual(await preconditionerOf(optimizer));
      await train(model, optimizer, 3, 6);
      await train(again, restored, 3, 6);
      expect(await again.digest()).toBe(await model.digest());
    },
  );

  test("before the first gradient is a state too", async () => {
    const { model } = await network();
    await make(model).save(file);
    expect(await unpack(file)).toEqual({});
    const optimizer = make(model);
    await optimizer.accumulate(await model.gradient(batchOf(1)));
    await optimizer.load(file);
    expect(optimizer.steps).toBe(0);
    await expect(optimizer.direction()).rejects.toMatchObject({ code: "ERR_NO_GRADIENT" });
  });
});

describe("a file that does not fit names what is wrong, and leaves the state as it was:", () => {
  let model: Model;
  let optimizer: AdamW;
  let tensors: Record<string, RawTensor>;
  let before: number[];
  beforeEach(async () => {
    model = (await network()).model;
    optimizer = new AdamW(model, { learningRate: 0.1 });
    await optimizer.accumulate(await model.gradient(batchOf(1)));
    await optimizer.save(file);
    tensors = await unpack(file);
    before = await values(await optimizer.direction());
  });

  /** A file of this optimizer's with these tensors and this said of it. */
  function write(changed: Record<string, RawTensor>, metadata: object = { optimizer: "adamw", steps: "1" }) {
    const packed = pack(changed);
    const end = 8 + Number(packed.readBigUInt64LE());
    const header = { __metadata__: metadata, ...JSON.parse(packed.subarray(8, end).toString()) };
    writeFileSync(file, safetensors(header, packed.subarray(end)));
  }
  async function rejects(code: string, ...parts: string[]) {
    for (const part of [...parts, file])
      await expect(optimizer.load(file)).rejects.toEqual(failure(code, part));
    expect(optimizer.steps).toBe(1);
    expect(await values(await optimizer.direction())).toEqual(before);
  }

  test("of another optimizer, or of none", async () => {
    for (const metadata of [{ optimizer: "sgd", steps: "1" }, { steps: "1" }, {}]) {
      write(tensors, metadata);
      await rejects("ERR_OPTIMIZER_STATE", '"adamw"');
    }
  });

  test("without a count of steps", async () => {
    for (const steps of ["-1", "1.5", "many", "1e400", "", " "]) {
      write(tensors, { optimizer: "adamw", steps });
      await rejects("ERR_OPTIMIZER_STATE", "steps");
    }
    write(tensors, { optimizer: "adamw" });
    await rejects("ERR_OPTIMIZER_STATE", "steps");
  });

  test("without a tensor, or with one of another shape or kind", async () => {
    const name = "exp_avg_sq.layers.1.bias";
    const { [name]: _, ...rest } = tensors;
    write(rest);
    await rejects("ERR_OPTIMIZER_STATE", name);
    write({ ...tensors, [name]: float32([1, 3], [1, 2, 3]) });
    await rejects("ERR_OPTIMIZER_STATE", name, "[1,3]");
    write({ ...tensors, [name]: int64([3], [1, 2, 3]) });
    await rejects("ERR_OPTIMIZER_STATE", name, "int64");
    write({ ...tensors, [name]: raw("U8", [3], new Uint8Array(3)) });
    await rejects("ERR_OPTIMIZER_STATE", name, "uint8");
    write(Object.fromEntries(Object.entries(tensors).filter(([key]) => key.startsWith("exp_avg."))));
    await rejects("ERR_OPTIMIZER_STATE", "exp_avg_sq");
    write({});
    await rejects("ERR_OPTIMIZER_STATE", "exp_avg");
    write({ ...tensors, other: float32([1], [1]) });
    await rejects("ERR_OPTIMIZER_STATE", "other");
  });

  test("of another model, truncated, or not there", async () => {
    const other = await createModel({ ...mlp, layer_sizes: [4, 7, 3] });
    const foreign = new AdamW(other, { learningRate: 1 });
    await foreign.accumulate((await other.gradient(batchOf(1))).gradient);
    await foreign.save(file);
    await rejects("ERR_OPTIMIZER_STATE", "layers.0.weight");
    writeFileSync(file, pack(tensors).subarray(0, -1));
    await rejects("ERR_SAFETENSORS");
    await expect(optimizer.load(`${file}.none`)).rejects.toEqual(failure("ERR_FILE", `${file}.none`));
    await expect(optimizer.save(path.join(file, "below"))).rejects.toEqual(failure("ERR_FILE", "below"));
    for (const wrong of [undefined, null, "", 3]) {
      await expect(optimizer.load(wrong as string)).rejects.toEqual(badArgument);
      await expect(optimizer.save(wrong as string)).rejects.toEqual(badArgument);
    }
  });
});
