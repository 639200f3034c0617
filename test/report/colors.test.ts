import { describe, expect, it } from "vitest";
import { luminance } from "../../lib/report/figures/map.js";
import { type ColorName, themes } from "../../lib/report/style.js";

type Three = readonly [number, number, number];

/** Linear sRGB as it is seen (Machado, Oliveira and Fernandes 2009, severity 1). */
const visions: Record<string, readonly [Three, Three, Three]> = {
  "all cones": [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

const dot = (a: Three, b: Three) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const each = (rows: readonly [Three, Three, Three], v: Three): Three => [
  dot(rows[0], v),
  dot(rows[1], v),
  dot(rows[2], v),
];

function linear(color: string): Three {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return [r as number, g as number, b as number];
}

/** Oklab: a hundredth is hardly seen side by side, two hundredths are by most. */
function oklab(rgb: Three): Three {
  const cones = each(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    rgb,
  );
  return each(
    [
      [0.2104542553, 0.793617785, -0.0040720468],
      [1.9779984951, -2.428592205, 0.4505937099],
      [0.0259040371, 0.7827717662, -0.808675766],
    ],
    [Math.cbrt(cones[0]), Math.cbrt(cones[1]), Math.cbrt(cones[2])],
  );
}

function distance(a: string, b: string, vision: readonly [Three, Three, Three]): number {
  const [x, y] = [a, b].map((color) =>
    oklab(each(vision, linear(color)).map((c) => Math.min(1, Math.max(0, c))) as unknown as Three),
  ) as [Three, Three];
  return Math.hypot(x[0] - y[0], x[1] - y[1], x[2] - y[2]);
}

const contrast = (a: string, b: string) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
};

describe.each(Object.entries(themes))("the %s theme", (_, theme) => {
  const lines: ColorName[] = ["blue", "vermillion", "green", "purple"];

  it.each(Object.entries(visions))("has lines that are told apart with %s", (_, vision) => {
    for (const a of lines)
      for (const b of lines)
        if (a < b) expect(distance(theme[a], theme[b], vision), `${a}, ${b}`).toBeGreaterThan(0.08);
    expect(distance(theme.better, theme.worse, vision)).toBeGreaterThan(0.15);
  });
  it("has texts with the contrast that WCAG asks for, and lines with that of graphics", () => {
    for (const name of ["ink", "muted", "link"] as const)
      expect(contrast(theme[name], theme.background), name).toBeGreaterThanOrEqual(4.5);
    for (const name of lines) expect(contrast(theme[name], theme.background), name).toBeGreaterThanOrEqual(3);
    for (const cell of ["better", "worse", "background"] as const)
      expect(contrast(theme.ink, theme[cell]), cell).toBeGreaterThanOrEqual(4.5);
  });
});
