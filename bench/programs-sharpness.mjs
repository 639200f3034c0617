// λc of a program of torch.export against a transcription of the paper's procedure in PyTorch, also later in a training.
import { criticalSharpness, Sgd, SharpnessMeter, setThreads } from "../dist/index.js";
import { startPeer } from "./peers/python.mjs";
import { open, withPrograms } from "./shared/programs.mjs";
import { duration, figure, spread, writeResults } from "./shared/results.mjs";
import { inTurns, median, ratio, seconds } from "./shared/timing.mjs";

/** Where both searches for ηc begin. */
const initialLearningRate = 1e-2;
/** Steps of a training at which it is measured, and those before them. */
const [warmSteps, coldSteps] = [7, 2];
const trainedSteps = 30;

async function coldRow(folder, threads, peer, { method }) {
  const name = "ResNet-18";
  const { model, batch } = await open(folder, name);
  await setThreads(threads);
  await peer.ask({ command: "threads", threads });
  const gradient = await model.gradient(batch);
  const direction = gradient.gradient;
  const measure = { model, batch, direction, gradient, method, initialLearningRate, tolerance: 1 / 16 };
  let ours, theirs;
  const times = await inTurns(
    {
      ours: async () => {
        ours = await criticalSharpness(measure);
      },
      theirs: async () => {
        theirs = await peer.ask({ command: "sharpness", network: name, eta: initialLearningRate });
        return theirs;
      },
    },
    { rounds: 3, warmup: 1 },
  );
  direction.dispose();
  model.dispose();
  batch.dispose();
  const measured = ratio(times, "ours", "theirs");
  return {
    what: `λc along the gradient, ${method} / PyTorch transcription of the paper's procedure, ${name}, ${threads} threads`,
    bar: method === "estimated" ? "≤ 0.50" : "",
    measured: spread(measured),
    met: method === "estimated" ? measured.median <= 0.5 : null,
    detail: `from ηc ≈ ${initialLearningRate} to ε = 1/16: ${duration(median(times.ours))} and ${ours.forwardPasses} passes against ${duration(median(times.theirs))} and ${theirs.passes}; ηc apart by a factor of ${figure(ours.criticalLearningRate / theirs.eta)}`,
  };
}

/**
 * As `coldRow`, at steps of a training: both begin where the step before has ended, ours with what its meter remembers. In a network's
 * first steps ηc jumps from one to the next, and nothing that is remembered helps.
 *
 * @param trained steps before the first measurement
 */
async function warmRow(folder, threads, peer, { trained, method }) {
  const name = "ResNet-18";
  const { model, batch } = await open(folder, name);
  await setThreads(threads);
  await peer.ask({ command: "threads", threads });
  const optimizer = new Sgd(model, { learningRate: initialLearningRate });
  const meter = new SharpnessMeter({ method, initialLearningRate, tolerance: 1 / 16 });
  const found = { ratios: [], ours: [], theirs: [], passes: [], theirPasses: [] };
  let eta = initialLearningRate;
  for (let step = 0; step < trained; step++) {
    await optimizer.accumulateFrom(batch);
    await optimizer.step();
    await peer.ask({ command: "gradient", network: name });
    await peer.ask({ command: "step", network: name, eta: initialLearningRate });
  }
  for (let step = 0; step < coldSteps + warmSteps; step++) {
    const gradient = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    let ours;
    const time = await seconds(async () => {
      ours = await meter.measure({ model, batch, direction: gradient.gradient, gradient });
    });
    const theirs = await peer.ask({ command: "sharpness", network: name, eta });
    eta = theirs.eta;
    const learningRate = ours.criticalLearningRate / 4;
    await optimizer.step({ learningRate });
    await peer.ask({ command: "step", network: name, eta: learningRate });
    gradient.gradient.dispose();
    if (step < coldSteps) continue;
    found.ratios.push(time / theirs.seconds);
    found.ours.push(time);
    found.theirs.push(theirs.seconds);
    found.passes.push(ours.forwardPasses);
    found.theirPasses.push(theirs.passes);
  }
  optimizer.dispose();
  model.dispose();
  batch.dispose();
  const measured = median(found.ratios);
  return {
    what: `λc along the gradient, ${method} / PyTorch transcription of the paper's procedure, ${name}, after ${trained} steps of a training, ${threads} threads`,
    bar: method === "estimated" ? "≤ 0.50" : "",
    measured: `${figure(measured)} (${figure(Math.min(...found.ratios))}–${figure(Math.max(...found.ratios))})`,
    met: method === "estimated" ? measured <= 0.5 : null,
    detail: `both from the step before: ${duration(median(found.ours))} and ${median(found.passes)} passes against ${duration(median(found.theirs))} and ${median(found.theirPasses)}; medians of ${warmSteps} steps after ${coldSteps}`,
  };
}

/** A peer trains its network: each row has its own. */
async function withPeer(row, folder, how) {
  const peer = startPeer("programs.py", [folder]);
  try {
    return await row(folder, 2, peer, how);
  } finally {
    peer.stop();
  }
}

const rows = await withPrograms(async (folder, exporter) => {
  exporter.stop();
  const rows = [];
  for (const method of ["estimated", "interpolated"])
    rows.push(
      await withPeer(coldRow, folder, { method }),
      await withPeer(warmRow, folder, { method, trained: 0 }),
      await withPeer(warmRow, folder, { method, trained: trainedSteps }),
    );
  return rows;
});
await writeResults("programs-sharpness", "λc of a program against PyTorch", rows);
