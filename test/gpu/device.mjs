// The device that these tests run on: the first GPU, or what CRITICAL_SHARPNESS_DEVICE names. On "cpu" they show that they are
// sound; what only a GPU can show is skipped there.
import { native } from "../../dist/torch/load.js";

export const device = process.env.CRITICAL_SHARPNESS_DEVICE || "cuda:0";
export const onGpu = device !== "cpu";
/** An option of `test`: why it is skipped here. */
export const gpuOnly = { skip: onGpu ? false : "needs a GPU" };

/** Throws, with what helps, where there is no such device. */
export function requireDevice() {
  native()
    .createModel(
      { kind: "mlp", layerSizes: [1, 1], activation: "relu", loss: "mse" },
      "float32",
      undefined,
      device,
    )
    .dispose();
}

export const relative = (received, expected) => Math.abs(received / expected - 1);
