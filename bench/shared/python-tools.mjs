// λmax by the Python tools, each with the loosest of its settings that finds it to 1 %.
import path from "node:path";
import { startPeer } from "../peers/python.mjs";
import { seconds } from "./timing.mjs";

/** Settings of each tool, the loosest first. */
export const ladders = {
  ours: [0.3, 0.1, 0.03, 0.01].map((tolerance) => ({ tolerance })),
  curvlinops: [0.3, 0.1, 0.03, 0.01].map((tolerance) => ({ tolerance })),
  "hessian-eigenthings": [3, 4, 6, 8, 12, 16, 24, 32, 64].map((iterations) => ({
    tolerance: 1e-6,
    iterations,
  })),
  pyhessian: [0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4].map((tolerance) => ({ tolerance })),
};
export const tools = Object.keys(ladders).filter((tool) => tool !== "ours");

/** A process of each tool on the model and the batch.safetensors of a folder. */
export const startTools = (folder, threads, environment = {}) =>
  Object.fromEntries(
    tools.map((tool) => [
      tool,
      startPeer(
        "curvature.py",
        [tool, folder, path.join(folder, "batch.safetensors"), `${threads}`],
        environment,
      ),
    ]),
  );

/**
 * The first setting of a tool whose eigenvalue is within 1 % of the right one, with the seconds and the products that it took.
 *
 * @param ask gives { eigenvalue, products } of a setting
 */
export async function loosest(tool, ask, reference) {
  for (const setting of ladders[tool]) {
    let answer;
    const time = await seconds(async () => {
      answer = await ask(setting);
    });
    if (Math.abs(answer.eigenvalue / reference - 1) <= 0.01)
      return { setting, seconds: time, products: answer.products };
  }
  throw new Error(`Expected λmax within 1 % of ${reference} from ${tool}`);
}
