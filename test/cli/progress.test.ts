import { PassThrough } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { duration, short, showProgress, table } from "../../lib/cli/progress.js";

function output(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 120, cursorTo() {}, clearLine() {} });
  return { stream, text: () => String(stream.read() ?? "") };
}

describe("progress away from a terminal", () => {
  it("is a line a second at most, and the last one always", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const { stream, text } = output(false);
      const progress = showProgress("step", 100, 0, stream);
      for (let step = 1; step <= 100; step++) {
        vi.advanceTimersByTime(100);
        progress.update(step, `loss ${step}`);
      }
      progress.stop();
      const lines = text().trimEnd().split("\n");
      expect(lines[0]).toBe("step 1/100  loss 1  10 s left");
      expect(lines[1]).toBe("step 11/100  loss 11  9 s left");
      expect(lines.at(-1)).toBe("step 100/100  loss 100");
      expect(lines.length).toBe(11);
    } finally {
      vi.useRealTimers();
    }
  });
  it("counts time left from where it started", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const { stream, text } = output(false);
      const progress = showProgress("step", 100, 90, stream);
      vi.advanceTimersByTime(1000);
      progress.update(91, "");
      expect(text()).toContain("9 s left");
    } finally {
      vi.useRealTimers();
    }
  });
  it("is never silent for ten seconds", () => {
    vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval"] });
    try {
      const { stream, text } = output(false);
      const progress = showProgress("checkpoint", 3, 0, stream);
      vi.advanceTimersByTime(500);
      progress.update(1, "batch 1/10");
      for (let seconds = 10; seconds <= 60; seconds += 10) {
        text();
        vi.advanceTimersByTime(10_000);
        expect(text()).toMatch(/^checkpoint 1\/3 {2}batch 1\/10 {2}… \d+ s/);
      }
      progress.stop();
      text();
      vi.advanceTimersByTime(20_000);
      expect(text()).toBe("");
    } finally {
      vi.useRealTimers();
    }
  });
  it("goes without a total", () => {
    const { stream, text } = output(false);
    showProgress("evaluation", undefined, 0, stream).update(1, "η 0.1");
    expect(text()).toBe("evaluation 1  η 0.1\n");
  });
});

describe("progress on a terminal", () => {
  it("is a bar with what is worth knowing, and lines that stay above it", () => {
    const { stream, text } = output(true);
    const progress = showProgress("step", 10, 0, stream);
    progress.note("validation loss 2");
    progress.update(5, "loss 1.5  λc 100");
    progress.stop();
    const shown = text();
    expect(shown).toContain("validation loss 2\n");
    expect(shown).toMatch(/step 5\/10 █+░+ {2}loss 1\.5 {2}λc 100/);
  });
});

describe("output for people", () => {
  it("has short numbers, durations and columns", () => {
    expect([181.818181, 1e-7, 0, Infinity, null, Number.NaN].map(short)).toEqual([
      "181.8",
      "1e-7",
      "0",
      "∞",
      "–",
      "–",
    ]);
    expect([0.4, 12, 200, 3900].map(duration)).toEqual(["0 s", "12 s", "3 min 20 s", "1 h 5 min"]);
    expect(
      table([
        ["a", "1"],
        ["long", "2"],
      ]),
    ).toEqual(["a     1", "long  2"]);
  });
});
