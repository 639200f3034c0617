import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { measureMix, writeReport } from "../../lib/experiments/index.js";
import { taskColor } from "../../lib/experiments/mix/sharpness-figure.js";
import type { Report } from "../../lib/report/index.js";
import { colors } from "../../lib/report/style.js";
import { makeMix } from "../experiments/mix-helpers.js";
import { hasBrowser, type SeenPage, seeReport } from "./browser.js";
import { landscape, measurement, step, temporaryFolder, writeRun } from "./helpers.js";

const folder = temporaryFolder();

describe.skipIf(!hasBrowser)("in a real browser", () => {
  let run: Report;
  let mix: Report;
  beforeAll(async () => {
    const records = [1, 2, 3, 4].map((n) => step(n, { measurement: measurement(15 + 3 * n) }));
    const directory = path.join(folder, "run");
    writeRun(directory, [...records, landscape]);
    run = await writeReport(directory);
    const { configuration } = await makeMix(path.join(folder, "given"));
    await measureMix(configuration, { directory: path.join(folder, "mix"), train: true });
    mix = await writeReport(path.join(folder, "mix"));
  });

  const sound = ({ overflow, figures }: SeenPage, window: number) => {
    expect(overflow).toBe(0);
    for (const { width, texts, outside, png } of figures) {
      expect(width).toBeGreaterThan(0.5 * window);
      // In a narrower window a picture scrolls within the page.
      expect(width).toBeLessThanOrEqual(Math.max(window, 560));
      expect(texts).toBeGreaterThan(5);
      expect(outside).toEqual([]);
      expect(png).toBeGreaterThan(1000);
    }
  };

  it.each([1000, 500])(
    "a run's report fits a window of %i pixels, and no text leaves its picture",
    (width) => {
      const seen = seeReport(run.html, width, [colors.blue]);
      expect(seen.figures).toHaveLength(Object.keys(run.figures).length);
      sound(seen, width);
      expect(seen.figures[0]?.pixels[colors.blue]).toBeGreaterThan(20);
    },
  );

  it("a mix's report does so too; each task has its colour, and the heat maps are of red and blue", () => {
    const all = [0, 1, 2].map(taskColor);
    const [blue, red] = ["#2166ac", "#b2182b"];
    const seen = seeReport(mix.html, 1000, [...all, blue, red]);
    sound(seen, 1000);
    const [sharpness, ...rest] = seen.figures;
    for (const color of all) expect(sharpness?.pixels[color]).toBeGreaterThan(20);
    const maps = rest.slice(0, 3);
    expect(
      maps.reduce((sum, { pixels }) => sum + (pixels[blue] ?? 0) + (pixels[red] ?? 0), 0),
    ).toBeGreaterThan(1000);
  });
});
