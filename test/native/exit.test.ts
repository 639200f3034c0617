import { describe, expect, it } from "vitest";
import { longJob, runProcess } from "./support.js";

// The job would run for a minute: ending early shows that it was stopped.
const early = 20;
const quietly = { stderr: "", signal: null };

describe("the process", () => {
  it("ends by itself, with nothing more to do", async () => {
    const ended = await runProcess(`${longJob} console.log((await model.read(0, 0, 8)).byteLength);`);
    expect(ended).toMatchObject({ code: 0, stdout: "8\n", ...quietly });
  });

  it("stays for a job that nobody awaits", async () => {
    const ended = await runProcess(`${longJob} model.initialize("he", 1).then(() => console.log("done"));`);
    expect(ended).toMatchObject({ code: 0, stdout: "done\n", ...quietly });
  });

  it.each([0, 7])("ends by process.exit(%i) in the middle of a job", async (code) => {
    const ended = await runProcess(`${longJob} long(); long(); await pause(200); process.exit(${code});`);
    expect(ended).toMatchObject({ code, ...quietly });
    expect(ended.seconds).toBeLessThan(early);
  });

  it("ends by process.exit before a job has started", async () => {
    expect(await runProcess(`${longJob} long(); process.exit(3);`)).toMatchObject({ code: 3, ...quietly });
  });

  it("ends by an uncaught error in the middle of a job, saying that error alone", async () => {
    const ended = await runProcess(
      `${longJob} long(); setTimeout(() => { throw new Error("on purpose"); }, 200);`,
    );
    expect(ended).toMatchObject({ code: 1, signal: null });
    expect(ended.stderr).toContain("Error: on purpose");
    expect(ended.stderr).not.toMatch(/terminate called|schema|libtorch|CANCELLED/);
    expect(ended.seconds).toBeLessThan(early);
  });

  it("ends by an unhandled rejection of a job", async () => {
    const ended = await runProcess(`${longJob} model.loss(null, null, {}); await pause(5000);`);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("ERR_INVALID_ARG_TYPE");
  });

  it("ends by SIGTERM in the middle of a job", async () => {
    const ended = await runProcess(`${longJob} long(); await pause(100); console.log("busy");`, {
      onOutput: (_, kill) => kill("SIGTERM"),
    });
    expect(ended).toMatchObject({ code: null, signal: "SIGTERM", stderr: "" });
    expect(ended.seconds).toBeLessThan(early);
  });

  it("ends by SIGTERM with a handler that exits", async () => {
    const ended = await runProcess(
      `${longJob} process.on("SIGTERM", () => process.exit(143)); long(); await pause(100); console.log("busy");`,
      { onOutput: (_, kill) => kill("SIGTERM") },
    );
    expect(ended).toMatchObject({ code: 143, ...quietly });
    expect(ended.seconds).toBeLessThan(early);
  });

  const inWorker = `
    import { Worker } from "node:worker_threads";
    const worker = new Worker(${JSON.stringify(`(async () => { ${longJob} long(); long();
      require("node:worker_threads").parentPort.postMessage(1); })();`)}, { eval: true, execArgv: [] });
    await new Promise((resolve) => worker.once("message", resolve));
  `;
  it("ends by process.exit while a worker's job runs, the addon loaded in the worker alone", async () => {
    const ended = await runProcess(`${inWorker} setTimeout(() => process.exit(4), 200);`);
    expect(ended).toMatchObject({ code: 4, ...quietly });
    expect(ended.seconds).toBeLessThan(early);
  });

  it("ends by process.exit while jobs of a worker and its own are under way", async () => {
    const ended = await runProcess(`${inWorker} ${longJob.replace("await model", "void model")} long();
      setTimeout(() => process.exit(4), 200);`);
    expect(ended).toMatchObject({ code: 4, ...quietly });
    expect(ended.seconds).toBeLessThan(early);
  });

  it("settles every promise at shutdown and starts no job after it", async () => {
    const ended = await runProcess(`${longJob}
      const outcome = (promise) => promise.then(() => "resolved", (e) => e.code);
      const jobs = [outcome(long()), outcome(long()), outcome(model.read(0, 0, 4))];
      await pause(200);
      n.shutdown();
      n.shutdown();
      console.log((await Promise.all([...jobs, outcome(long()), outcome(n.info())])).join(" "));
      model.dispose();
      batch.dispose();
      console.log(JSON.stringify(n.memory()));
    `);
    expect(ended).toMatchObject({
      code: 0,
      stdout: 'CANCELLED CANCELLED CANCELLED ERR_SHUTDOWN ERR_SHUTDOWN\n{"handles":0,"bytes":0}\n',
      ...quietly,
    });
    expect(ended.seconds).toBeLessThan(early);
  });
});
