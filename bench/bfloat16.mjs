// The time of a λc in bfloat16 compute over that in float32, and how far their ηc are apart.
import { createModel, criticalSharpness } from "../dist/index.js";
import { native } from "../dist/torch/load.js";
import { gpt, tokenBatch } from "./shared/models.mjs";
import { figure, spread } from "./shared/results.mjs";
import { inTurns, ratio } from "./shared/timing.mjs";

export async function bfloat16Rows() {
  const { bfloat16 } = await native().info();
  const config = gpt("10 M");
  const { batch } = tokenBatch(config, 8);
  const found = {};
  const measure = async (dtype) => {
    const model = await createModel(config, { seed: 1, dtype });
    const gradient = await model.gradient(batch);
    const options = { model, batch, direction: gradient.gradient, gradient, initialLearningRate: 0.1 };
    const { criticalLearningRate } = await criticalSharpness({ ...options, tolerance: 1e-3 });
    found[dtype] = criticalLearningRate;
    return {
      run: () => criticalSharpness({ ...options, initialLearningRate: criticalLearningRate }),
      owners: [model, gradient.gradient],
    };
  };
  const wide = await measure("float32");
  const narrow = await measure("bfloat16");
  const times = await inTurns({ bfloat16: narrow.run, float32: wide.run }, { rounds: 6, warmup: 1 });
  for (const owner of [...wide.owners, ...narrow.owners, batch]) owner.dispose();
  const measured = ratio(times, "bfloat16", "float32");
  const apart = Math.abs(found.bfloat16 / found.float32 - 1);
  const hasAmx = bfloat16 === "amx";
  return [
    {
      what: "a λc in bfloat16 compute / in float32, GPT-2 of 10 M",
      bar: "≤ 0.35 on a CPU with AMX",
      measured: spread(measured),
      met: hasAmx ? measured.median <= 0.35 : null,
      detail: hasAmx
        ? "this CPU has AMX"
        : `this CPU has no AMX (bfloat16 ${bfloat16}): the bar was not measured`,
    },
    {
      what: "ηc in bfloat16 compute against float32, GPT-2 of 10 M",
      bar: "within 4 %",
      measured: `${figure(apart * 100)} %`,
      met: apart <= 0.04,
      detail: "along the gradient, ε = 1e-3, float32 master weights",
    },
  ];
}
