import { describe, expect, it } from "vitest";
import { createModel, type Device, loadModel } from "../../lib/models/index.js";
import { native } from "../../lib/torch/load.js";
import { temporaryFolder } from "../data/helpers.js";
import { failure } from "../native-loading/support.js";

const mlp = { model_type: "mlp", layer_sizes: [2, 2], activation: "relu", loss: "mse" } as const;
const folder = temporaryFolder();
const { cuda } = await native().info();
const count = cuda.devices.length;

describe("the device of a model", () => {
  it("is the CPU unless another is asked for", async () => {
    expect((await createModel(mlp)).device).toBe("cpu");
    expect((await createModel(mlp, { device: "cpu" })).device).toBe("cpu");
  });

  it.skipIf(count > 0)("that the build or the machine lacks is an error that says what helps", async () => {
    await (await createModel(mlp)).save(folder);
    for (const device of ["cuda", "cuda:0", "cuda:12"] as Device[]) {
      const { code, message } = await failure(() => createModel(mlp, { device }));
      expect(code).toBe("ERR_DEVICE");
      expect(message).toMatch(
        cuda.built
          ? /^Expected a CUDA device for the device "cuda.*" but received none: .+ `nvidia-smi`/
          : /^Expected an addon built with CUDA for the device "cuda.*" but received .+ `npm run build -- --cuda`/,
      );
      expect(await failure(() => loadModel(folder, { device }))).toEqual({ code, message });
    }
  });

  it.runIf(count > 0)("is one of the machine's", async () => {
    for (let i = 0; i < count; i++)
      expect((await createModel(mlp, { device: `cuda:${i}` })).device).toBe(`cuda:${i}`);
    const { code, message } = await failure(() => createModel(mlp, { device: "cuda:99" }));
    expect([code, message]).toEqual(["ERR_DEVICE", expect.stringContaining(`${count} CUDA devices`)]);
  });

  it("has memory to ask for: none of it on the CPU", async () => {
    const nothing = { allocated: 0, peak: 0, reserved: 0, driverAllocations: 0 };
    expect(await native().deviceMemory("cpu", false)).toEqual(nothing);
    const { code } = await failure(() => native().deviceMemory("tpu", false));
    expect(code).toBe("ERR_OUT_OF_RANGE");
  });
});
