// Programs of torch.export beside torch.compile, which takes minutes for each network.
import path from "node:path";
import { setThreads } from "../dist/index.js";
import { startPeer } from "./peers/python.mjs";
import { bothTimes, callsOf, large, networks, open, repeatsOf, withPrograms } from "./shared/programs.mjs";
import { duration, spread, writeResults } from "./shared/results.mjs";
import { ratio, seconds } from "./shared/timing.mjs";

/** torch.compile is given so many seconds in all, and a network at most `compileEach`: what takes longer is left out. */
const compileAll = 300;
const compileEach = 180;

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

const rows = await withPrograms((folder, peer) => {
  peer.stop();
  return compiledRows(folder, 2, path.join(folder, "compiled"));
});
await writeResults("programs-compiled", "Programs against torch.compile", rows);
