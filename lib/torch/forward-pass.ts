import { native } from "./load.js";

const classes = 10;

/** A forward pass on a device: whether it computed what it should. */
export interface ForwardPass {
  device: string;
  /** Of the second pass, in milliseconds: the first one sets things up. */
  milliseconds: number | null;
  /** What is wrong; null if the loss is right. */
  problem: string | null;
}

/**
 * Computes the loss of a small classifier on a device. Its weights are zero, so that every class is as likely as another and
 * the loss is the logarithm of their number.
 */
export async function tryForwardPass(device: string): Promise<ForwardPass> {
  try {
    const addon = native();
    const model = addon.createModel(
      { kind: "mlp", layerSizes: [64, 256, classes], activation: "gelu", loss: "cross_entropy" },
      "float32",
      undefined,
      device,
    );
    const rows = 32;
    const targets = BigInt64Array.from({ length: rows }, (_, row) => BigInt(row % classes));
    const batch = addon.createExampleBatch(new Float32Array(rows * 64).fill(1), [rows, 64], targets, [rows]);
    try {
      await model.initialize("zeros", 0);
      await model.loss(batch, null, { microBatch: 0 });
      const started = performance.now();
      const { loss } = await model.loss(batch, null, { microBatch: 0 });
      const milliseconds = performance.now() - started;
      const right = Math.abs(loss - Math.log(classes)) < 1e-5;
      const problem = right ? null : `Expected a loss of ln ${classes} but received ${loss}`;
      return { device, milliseconds, problem };
    } finally {
      model.dispose();
      batch.dispose();
    }
  } catch (error) {
    return { device, milliseconds: null, problem: (error as Error).message };
  }
}
