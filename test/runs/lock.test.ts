import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { RunLock } from "../../lib/runs/lock.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const newDirectory = () => mkdtempSync(path.join(folder, "run-"));
const lockOf = (directory: string) => path.join(directory, "lock");

/** A process that has ended. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  return child.pid as number;
}

const holder = (change: object) => ({
  ...{ pid: process.pid, host: os.hostname(), started: "", id: "another" },
  ...change,
});

describe("a directory's lock", () => {
  it("is held by one, who is named to the second, until it is given back", async () => {
    const directory = newDirectory();
    {
      await using _ = await RunLock.acquire(directory);
      await expect(RunLock.acquire(directory)).rejects.toMatchObject({
        code: "ERR_RUN_LOCKED",
        message: expect.stringContaining(`process ${process.pid} on ${os.hostname()} has`),
      });
    }
    expect(readdirSync(directory)).toEqual([]);
    await using _ = await RunLock.acquire(directory);
  });

  it.each<[string, () => Promise<object | string>]>([
    ["a dead process", async () => holder({ pid: await deadProcess() })],
    ["a process whose number another has now", async () => holder({ started: "1" })],
    ["nobody, cut short", async () => '{"pid":'],
  ])("of %s is taken over", async (_, make) => {
    const directory = newDirectory();
    const left = await make();
    writeFileSync(lockOf(directory), typeof left === "string" ? left : JSON.stringify(left));
    {
      await using _ = await RunLock.acquire(directory);
      expect(JSON.parse(readFileSync(lockOf(directory), "utf8")).pid).toBe(process.pid);
    }
    expect(existsSync(lockOf(directory))).toBe(false);
  });

  it("of another machine is nobody's here to judge", async () => {
    const directory = newDirectory();
    writeFileSync(lockOf(directory), JSON.stringify(holder({ host: "elsewhere", pid: 1 })));
    await expect(RunLock.acquire(directory)).rejects.toMatchObject({
      message: expect.stringContaining(`if it is dead, remove ${lockOf(directory)}`),
    });
  });

  it("of a dead process is taken over by one of many who want it at once", async () => {
    const lock = pathToFileURL(path.resolve(import.meta.dirname, "../../dist/runs/lock.js")).href;
    const code = `const { RunLock } = await import(${JSON.stringify(lock)});
      process.stdin.once("data", async () => {
        const won = await RunLock.acquire(process.argv[1]).then(() => 1, (error) => (error.code === "ERR_RUN_LOCKED" ? 0 : -1));
        process.stdout.write(String(won));
        process.stdin.once("data", () => process.exit());
      });
      process.stdout.write("ready");`;
    for (let round = 0; round < 3; round++) {
      const directory = newDirectory();
      writeFileSync(lockOf(directory), JSON.stringify(holder({ pid: await deadProcess() })));
      const children = Array.from({ length: 6 }, () =>
        spawn(process.execPath, ["--input-type=module", "-e", code, directory]),
      );
      await Promise.all(children.map((child) => once(child.stdout, "data")));
      const answers = children.map(async (child) => String((await once(child.stdout, "data"))[0]));
      for (const child of children) child.stdin.write("go\n");
      const won = (await Promise.all(answers)).map(Number);
      for (const child of children) child.stdin.write("end\n");
      expect(won.toSorted()).toEqual([0, 0, 0, 0, 0, 1]);
    }
  }, 60_000);
});
