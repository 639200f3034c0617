import type { Figure } from "./figure.js";
import { colors } from "./style.js";

const width = 1080;
const height = 340;
const tall = 400;

/** All figures in one SVG: the first over the whole width, the others two in a row. */
export function overview(figures: readonly Figure[]): string {
  const [first, ...rest] = figures;
  const panels: string[] = [];
  let top = 0;
  if (first) {
    panels.push(place(first.draw({ width, height: tall }), 0, 0));
    top = tall;
  }
  rest.forEach((figure, i) => {
    const last = i === rest.length - 1 && i % 2 === 0;
    const size = { width: last ? width : width / 2, height };
    panels.push(place(figure.draw(size), (i % 2) * (width / 2), top + Math.floor(i / 2) * height));
  });
  const whole = top + Math.ceil(rest.length / 2) * height;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${whole}" viewBox="0 0 ${width} ${whole}"><rect width="100%" height="100%" fill="${colors.background}"/>${panels.join("")}</svg>`;
}

function place(svg: string, x: number, y: number): string {
  return svg.replace("<svg ", `<svg x="${x}" y="${y}" `);
}
