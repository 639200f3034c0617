import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { watchRuns } from "../../lib/experiments/index.js";
import { measurement, step, writeRun } from "../report/helpers.js";
import { BrowserSession, hasBrowser } from "./browser-session.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const place = (name: string) => path.join(folder, name);

/** What the server answers. */
function get(
  url: string,
  options: { method?: string; host?: string } = {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = options.host === undefined ? {} : { host: options.host };
    const asked = request(url, { method: options.method ?? "GET", headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode as number, text }));
    });
    asked.on("error", reject).end();
  });
}

const steps = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => step(from + i, { measurement: measurement(10 + (i % 7)) }));
const append = (directory: string, lines: readonly object[]) =>
  appendFileSync(
    path.join(directory, "metrics.jsonl"),
    lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
  );

describe("the live page", () => {
  it("is for this machine alone, and can only be read", async () => {
    await using watch = await watchRuns([place("nowhere")]);
    const { port } = new URL(watch.url);
    expect((await get(watch.url)).text).toContain("EventSource");
    expect(await get(watch.url, { host: `localhost:${port}` })).toMatchObject({ status: 200 });
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", ""])
      expect(await get(watch.url, { host })).toMatchObject({
        status: host === "" ? expect.any(Number) : 403,
      });
    expect(await get(watch.url, { method: "POST" })).toMatchObject({ status: 405 });
    expect(await get(`${watch.url}../config.json`)).toMatchObject({ status: 404 });
    await expect(watchRuns([place("nowhere")], { port: Number(port) })).rejects.toMatchObject({
      code: "ERR_PORT",
    });
  });

  it.each([[[]], [[3]], ["run"]])("is of directories, not of %j", async (directories) => {
    const code = expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/);
    await expect(watchRuns(directories as never)).rejects.toMatchObject({ code });
  });

  it.skipIf(!hasBrowser)(
    "shows runs side by side as they grow, one to 10,000 steps, and survives a restart",
    async () => {
      const done = writeRun(place("done"), steps(1, 40));
      const growing = place("growing");
      let watch = await watchRuns([done, growing]);
      try {
        await using page = await BrowserSession.open(watch.url);
        await page.until("document.querySelectorAll('.run svg').length > 2");
        const text = "document.querySelectorAll('.run')[1].innerText";
        await page.until(`${text}.includes('Nothing to show yet')`);
        writeRun(growing, steps(1, 20), { steps: 10_000 });
        await page.until(`${text}.includes('20 of 10,000')`);
        append(growing, steps(21, 200));
        await page.until(`${text}.includes('200 of 10,000')`);
        const { port } = new URL(watch.url);
        await watch[Symbol.asyncDispose]();
        await page.until("document.getElementById('state').textContent.includes('stopped')");
        append(growing, steps(201, 300));
        watch = await watchRuns([done, growing], { port: Number(port) });
        await page.until(`${text}.includes('300 of 10,000')`);
        for (let done = 300; done < 10_000; done += 1940) append(growing, steps(done + 1, done + 1940));
        await page.until(`${text}.includes('10,000 of 10,000')`);
        expect(await page.evaluate("document.getElementById('state').textContent")).toBe("");
        const across = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        expect(await page.evaluate(across)).toBe(0);
      } finally {
        await watch[Symbol.asyncDispose]();
      }
    },
    180_000,
  );
});
