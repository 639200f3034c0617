import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { makeMix } from "../experiments/mix-helpers.js";
import { command, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();

it("mix measures, trains, reports and says what it found", async () => {
  const { configuration } = await makeMix(folder);
  const file = path.join(folder, "mix.json");
  writeFileSync(file, JSON.stringify(configuration));
  const out = path.join(folder, "out");
  const { code, stdout, stderr } = await command(["mix", file, "--out", out, "--train", "--steps", "1"]);
  expect([code, stderr.includes("error")]).toEqual([0, false]);
  expect(stdout).toMatch(/ratio +λc of old +λc of fresh +λc of other\n/);
  expect(stdout).toContain("After 1 step ");
  expect(stdout).toContain(path.join(out, "figures", "mix-sharpness.svg"));
  const again = await command(["mix", file, "--out", out, "--json", "--steps", "1"]);
  const result = JSON.parse(again.stdout);
  expect(result.points).toHaveLength(9);
  expect(result.recommendation.sentence.length).toBeGreaterThan(20);
  expect(again.stderr).toContain("going on after 2 of 2 repeats");
});

it("mix refuses what is no configuration", async () => {
  const file = path.join(folder, "bad.json");
  writeFileSync(file, "{}");
  expect((await command(["mix", file])).code).toBe(2);
  expect((await command(["mix"])).code).toBe(2);
});
