// Programs of torch.export against PyTorch itself: losses, gradients, critical sharpness and memory of the same modules, in turns.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { criticalSharpness, loadBatch, loadModel, Sgd, SharpnessMeter, setThreads } from "../dist/index.js";
import { startPeer } from "./peers/python.mjs";
import { exactMemory, peakOf, resident } from "./shared/peak.mjs";
import { bytes, duration, figure, spread, writeResults } from "./shared/results.mjs";
import { inTurns, median, ratio, seconds } from "./shared/timing.mjs";

const large = ["ResNet-18", "GPT-2 of 10 M"];
const small = ["small MLP", "small CNN", "small GPT-2", "small LSTM"];
const networks = [...small, ...large];
/** Calls of one turn together take at least so long: less is below what clocks and schedulers can tell apart. */
const turn = 0.02;
/** torch.compile is given so many seconds in all, and a network at most `compileEach`: what takes longer is left out. */
const compileAll = 300;
const compileEach = 180;
/** Where both searches for ηc begin. */
const initialLearningRate = 1e-2;
/** Steps of a training at which it is measured, and those before them. */
const [warmSteps, coldSteps] = [7, 2];
const trainedSteps = 30;
/** η of the perturbed losses. */
const learningRate = 1e-3;

/** `{ seconds, cpu }` of calls together, as the peer has them. */
async function timed(call, repeat) {
  const before = process.cpuUsage();
  const time = await seconds(async () => {
    for (let i = 0; i < repeat; i++) await call();
  });
  const { user, system } = process.cpuUsage(before);
  return { seconds: time, cpu: (user + system) / 1e6 };
}

/** As inTurns, with the processes' own times too: { name: seconds[] } by the clock and of the processors. */
async function bothTimes(calls, options) {
  const cpu = Object.fromEntries(Object.keys(calls).map((name) => [name, []]));
  const noting = Object.entries(calls).map(([name, call]) => [
    name,
    async () => {
      const found = await call();
      cpu[name].push(found.cpu);
      return found;
    },
  ]);
  const wall = await inTurns(Object.fromEntries(noting), options);
  for (const name of Object.keys(cpu)) cpu[name] = cpu[name].slice(-wall[name].length);
  return { wall, cpu };
}

async function open(folder, name) {
  return {
    model: await loadModel(path.join(folder, `${name}.pt2`)),
    batch: await loadBatch(path.join(folder, `${name}.safetensors`), { named: true }),
  };
}

function callsOf({ model, batch }, peer, name, repeat) {
  const gradient = async () => (await model.gradient(batch)).gradient.dispose();
  const theirs = (command) => () => peer.ask({ command, network: name, repeat });
  return {
    loss: () => timed(() => model.loss(batch), repeat),
    eagerLoss: theirs("loss"),
    gradient: () => timed(gradient, repeat),
    eagerGradient: theirs("gradient"),
  };
}

/** How many calls make a turn: the fastest of a few is what a quiet machine takes. */
async function repeatsOf({ model, batch }) {
  let once = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10 && (i < 2 || once < turn); i++)
    once = Math.min(once, await seconds(() => model.loss(batch)));
  return Math.ceil(turn / once);
}

async function compare(folder, name, threads, peer) {
  const ours = await open(folder, name);
  await setThreads(threads);
  await peer.ask({ command: "threads", threads });
  const repeat = await repeatsOf(ours);
  const { model, batch } = ours;
  const direction = (await model.gradient(batch)).gradient;
  const perturbation = { direction, learningRate };
  const calls = {
    ...callsOf(ours, peer, name, repeat),
    perturbed: () => timed(() => model.loss(batch, { perturbation }), repeat),
  };
  const rounds = large.includes(name) ? 3 : 20;
  const times = await bothTimes(calls, { rounds, warmup: large.includes(name) ? 1 : 3 });
  direction.dispose();
  model.dispose();
  batch.dispose();
  const limit = large.includes(name) ? 1 : 0.7;
  const where = `${name}, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  const row = (what, of, to, bar) => {
    const measured = ratio(times.wall, of, to);
    const each = (one) => duration(median(times.wall[one]) / repeat);
    return {
      what: `${what}, ${where}`,
      bar: bar === null ? "stated" : `≤ ${bar.toFixed(2)}`,
      measured: spread(measured),
      met: bar === null ? null : measured.median <= bar,
      detail: `${each(of)} against ${each(to)}; of the processes' own time ${spread(ratio(times.cpu, of, to))}; ${rounds} pairs of ${repeat}`,
    };
  };
  return [
    row("loss / eager PyTorch", "loss", "eagerLoss", limit),
    row("loss and gradient / eager PyTorch", "gradient", "eagerGradient", limit),
    row("perturbed loss / plain loss", "perturbed", "loss", null),
  ];
}

async function compiledRows(folder, threads, cache) {
  const peer = startPeer("programs.py", [folder], {
    TORCHINDUCTOR_CACHE_DIR: cache,
    TORCHINDUCTOR_COMPILE_THREADS: "1",
  });
  await setThreads(threads);
  await peer.ask({ command: "threads", threads });
  let left = compileAll;
  const rows = [];
  try {
    for (const name of networks) {
      const what = (of) => `${of} / torch.compile, ${name}, ${threads} threads`;
      let answer = { compiled: false, why: `the ${compileAll} s for all are used up` };
      const limit = Math.floor(Math.min(left, compileEach));
      const took = await seconds(async () => {
        if (limit > 0) answer = await peer.ask({ command: "compile", network: name, limit });
      });
      left -= took;
      if (!answer.compiled) {
        const detail = answer.why;
        rows.push({
          what: what("loss, gradient"),
          bar: "stated",
          measured: "not compiled",
          met: null,
          detail,
        });
        continue;
      }
      rows.push(...(await besideCompiled(folder, name, peer, what, took)));
    }
  } finally {
    peer.stop();
  }
  return rows;
}

async function besideCompiled(folder, name, peer, what, took) {
  const ours = await open(folder, name);
  const repeat = await repeatsOf(ours);
  const compiled = { ask: (request) => peer.ask({ ...request, compiled: true }) };
  const rounds = large.includes(name) ? 3 : 15;
  const { wall } = await bothTimes(callsOf(ours, compiled, name, repeat), { rounds, warmup: 1 });
  ours.model.dispose();
  ours.batch.dispose();
  return [
    ["loss", "loss", "eagerLoss"],
    ["loss and gradient", "gradient", "eagerGradient"],
  ].map(([label, of, to]) => ({
    what: what(label),
    bar: "stated",
    measured: spread(ratio(wall, of, to)),
    met: null,
    detail: `steady state, after ${duration(took)} of compiling`,
  }));
}

async function sharpnessRow(folder, threads, peer) {
  const name = "ResNet-18";
  const { model, batch } = await open(folder, name);
  await setThreads(threads);
  await peer.ask({ command: "threads", threads });
  const gradient = await model.gradient(batch);
  const direction = gradient.gradient;
  const measure = { model, batch, direction, gradient, initialLearningRate, tolerance: 1 / 16 };
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
    what: `λc along the gradient / PyTorch transcription of the paper's procedure, ${name}, ${threads} threads`,
    bar: "≤ 0.50",
    measured: spread(measured),
    met: measured.median <= 0.5,
    detail: `from ηc ≈ ${initialLearningRate} to ε = 1/16: ${duration(median(times.ours))} and ${ours.forwardPasses} passes against ${duration(median(times.theirs))} and ${theirs.passes}; ηc apart by a factor of ${figure(ours.criticalLearningRate / theirs.eta)}`,
  };
}

/**
 * As `sharpnessRow`, at steps of a training: both begin where the step before has ended, ours with what its meter remembers. In a network's
 * first steps ηc jumps from one to the next, and nothing that is remembered helps.
 *
 * @param trained steps before the first measurement
 */
async function warmSharpnessRow(folder, threads, peer, trained) {
  const name = "ResNet-18";
  const { model, batch } = await open(folder, name);
  await setThreads(threads);
  await peer.ask({ command: "threads", threads });
  const optimizer = new Sgd(model, { learningRate: initialLearningRate });
  const meter = new SharpnessMeter({ initialLearningRate, tolerance: 1 / 16 });
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
    what: `λc along the gradient / PyTorch transcription of the paper's procedure, ${name}, after ${trained} steps of a training, ${threads} threads`,
    bar: "≤ 0.50",
    measured: `${figure(measured)} (${figure(Math.min(...found.ratios))}–${figure(Math.max(...found.ratios))})`,
    met: measured <= 0.5,
    detail: `both from the step before: ${duration(median(found.ours))} and ${median(found.passes)} passes against ${duration(median(found.theirs))} and ${median(found.theirPasses)}; medians of ${warmSteps} steps after ${coldSteps}`,
  };
}

/** What a gradient takes beyond what the process had before it, in a process of its own. */
async function measurePeak(folder, name) {
  const { model, batch } = await open(folder, name);
  const gradient = async () => (await model.gradient(batch)).gradient.dispose();
  for (let i = 0; i < 2; i++) await gradient();
  const before = await resident();
  return (await peakOf(gradient)) - before;
}

async function memoryRow(folder, name) {
  const { status, stdout } = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), "peak", folder, name],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...exactMemory },
    },
  );
  if (status !== 0) throw new Error(`Expected the peak of ${name} but the process failed`);
  const ours = JSON.parse(stdout);
  const peer = startPeer("programs.py", [folder], exactMemory);
  const theirs = (await peer.ask({ command: "peak", network: name })).bytes;
  peer.stop();
  return {
    what: `memory of a gradient / eager PyTorch, ${name}`,
    bar: "≤ 1.05",
    measured: figure(ours / theirs),
    met: ours / theirs <= 1.05,
    detail: `${bytes(ours)} against ${bytes(theirs)} beyond what a process of its own had before: weights, batch, code`,
  };
}

/** Runs `body` with a folder of the exported networks and the peer that exported them. */
async function withPrograms(body) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  const peer = startPeer("programs.py", [folder]);
  try {
    for (const network of networks) await peer.ask({ command: "export", network });
    return await body(folder, peer);
  } finally {
    peer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const programRows = () =>
  withPrograms(async (folder, peer) => {
    const rows = [];
    for (const name of networks)
      for (const threads of [1, 2]) rows.push(...(await compare(folder, name, threads, peer)));
    rows.push(await sharpnessRow(folder, 2, peer));
    rows.push(await warmSharpnessRow(folder, 2, peer, 0));
    peer.stop();
    for (const name of large) rows.push(await memoryRow(folder, name));
    return rows;
  });

/** λc alone, also later in a training: `node bench/programs.mjs sharpness`. */
const sharpnessRows = () =>
  withPrograms(async (folder, peer) => [
    await sharpnessRow(folder, 2, peer),
    await warmSharpnessRow(folder, 2, peer, trainedSteps),
  ]);

/** Beside torch.compile, which takes minutes for each network: `node bench/programs.mjs compiled`. */
const rowsBesideCompiled = () =>
  withPrograms((folder, peer) => {
    peer.stop();
    return compiledRows(folder, 2, path.join(folder, "compiled"));
  });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [command, ...args] = process.argv.slice(2);
  if (command === "peak") console.log(JSON.stringify(await measurePeak(...args)));
  else if (command === "compiled")
    await writeResults("programs-compiled", "Programs against torch.compile", await rowsBesideCompiled());
  else if (command === "sharpness")
    await writeResults("programs-sharpness", "λc of a program against PyTorch", await sharpnessRows());
  else await writeResults("programs", "Programs against PyTorch", await programRows());
}
