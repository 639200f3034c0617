import type { Figure } from "./figure.js";
import { colors, type Size } from "./style.js";

const width = 960;
const first: Size = { width, height: 370 };
const other: Size = { width: width / 2, height: 320 };
const gap = 10;

/** All figures in one SVG: the first over the whole width, the others two in a row. */
export function overview(figures: readonly Figure[]): string {
  const panels = figures.map((figure, i) => {
    if (i === 0) return place(figure.draw(first), 0, 0);
    const row = Math.floor((i - 1) / 2);
    return place(
      figure.draw(other),
      i % 2 === 1 ? 0 : width / 2,
      first.height + gap + row * (other.height + gap),
    );
  });
  const rows = Math.ceil((figures.length - 1) / 2);
  const height = first.height + rows * (other.height + gap);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><rect width="100%" height="100%" fill="${colors.background}"/>${panels.join("")}</svg>`;
}

function place(svg: string, x: number, y: number): string {
  return svg.replace("<svg ", `<svg x="${x}" y="${y}" `);
}
