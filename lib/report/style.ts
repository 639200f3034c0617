import { createRequire } from "node:module";
import path from "node:path";
import type { Table } from "./page.js";

/**
 * Of a light page and of pictures, and of a dark page: the hues of Okabe and Ito, as light and as strong as it takes for colour-blind
 * readers to tell the lines apart and for all to see them on the background.
 */
export const themes = {
  light: {
    ink: "#1f2328",
    muted: "#57606a",
    frame: "#8c959f",
    grid: "#e4e8ec",
    background: "#ffffff",
    link: "#005a8e",
    blue: "#2d68b9",
    vermillion: "#d25907",
    green: "#169870",
    purple: "#9d367d",
    sky: "#56b4e9",
    better: "#5a9bd8",
    worse: "#ec7a4b",
  },
  dark: {
    ink: "#e6edf3",
    muted: "#a3adb8",
    frame: "#768390",
    grid: "#2a313a",
    background: "#12161c",
    link: "#79c0ff",
    blue: "#5b9df4",
    vermillion: "#fd8b3c",
    green: "#2fd2a0",
    purple: "#c577b0",
    sky: "#a5d8f6",
    better: "#29659f",
    worse: "#b0481c",
  },
} as const;

export type ColorName = keyof typeof themes.light;

/**
 * What figures are painted with: properties that a page sets by its theme, beside the colour where there is no page. Files have the
 * latter alone, see `plainColors`.
 */
export const colors = Object.fromEntries(
  Object.entries(themes.light).map(([name, color]) => [name, `var(--${name},${color})`]),
) as Record<ColorName, string>;

/** An SVG for programs that know no CSS: every property replaced by its colour. */
export function plainColors(svg: string): string {
  return svg.replace(/var\(--[a-z]+,(#[0-9a-f]{6})\)/g, "$1");
}

/** In pixels of the figure. */
export const sizes = {
  title: 15.5,
  text: 12.5,
  padding: 14,
  line: 2,
} as const;

export interface Size {
  width: number;
  height: number;
}

/** Of a figure that stands alone, and of one on a wide page. */
export const figureSize: Size = { width: 760, height: 420 };
/** Of a figure on a page as wide as a telephone. */
export const narrowSize: Size = { width: 360, height: 360 };

export const fontName = "Inter";

/** For SVG and CSS: where they are read, Inter may not be there. */
export const fontFamily = `${fontName}, 'Helvetica Neue', Arial, sans-serif`;

const require = createRequire(import.meta.url);
const folder = path.dirname(require.resolve("@expo-google-fonts/inter/package.json"));

/**
 * For pictures: Inter (SIL Open Font License) from its npm package and no other, since a machine may have no font at all,
 * and pictures are to look the same on every one.
 */
export const rasterFont = {
  fontFiles: ["400Regular/Inter_400Regular.ttf", "600SemiBold/Inter_600SemiBold.ttf"].map((file) =>
    path.join(folder, file),
  ),
  loadSystemFonts: false,
  defaultFontFamily: fontName,
};

const properties = (theme: Record<string, string>) =>
  Object.entries(theme)
    .map(([name, color]) => `--${name}: ${color};`)
    .join(" ");

/** Below this width of the window a page shows the narrow figures. */
const narrowPage = 680;

/** The style sheet of a page. It follows the reader's choice of a light or a dark theme. */
export const pageStyle = `
:root { color-scheme: light dark; ${properties(themes.light)} }
@media (prefers-color-scheme: dark) { :root { ${properties(themes.dark)} } }
body { margin: 0; background: var(--background); color: var(--ink); font: 16px/1.55 ${fontFamily}; }
main { max-width: 860px; margin: 0 auto; padding: 40px 24px 56px; }
h1 { margin: 0 0 8px; font-size: 28px; line-height: 1.25; font-weight: 600; text-wrap: balance; }
h2 { margin: 36px 0 8px; font-size: 19px; line-height: 1.3; font-weight: 600; }
header p { margin: 0; color: var(--muted); }
figure { margin: 24px -14px 32px; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; }
.narrow { display: none; }
figcaption { margin: 4px 14px 0; font-size: 14.5px; color: var(--muted); }
figcaption b { font-weight: 600; color: var(--ink); }
.files { white-space: nowrap; }
.files a { margin-left: 6px; }
.table { overflow-x: auto; }
.table:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-size: 14.5px; font-variant-numeric: tabular-nums; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { padding: 4.5px 16px 4.5px 0; border-bottom: 1px solid var(--grid); text-align: left; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
.columns th, .columns td { min-width: 4.5em; }
th { font-weight: 400; color: var(--muted); }
.short { white-space: nowrap; }
table:not(.columns) th { width: 9.5em; }
table:not(.columns) td:nth-child(2):nth-last-child(2) { width: 4em; text-align: right; padding-right: 24px; }
details { margin: 6px 14px 0; font-size: 14.5px; }
summary { color: var(--link); cursor: pointer; width: fit-content; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
sub, sup { font-size: 0.75em; line-height: 0; }
ul { padding-left: 1.2em; margin: 0; }
footer { font-size: 14.5px; }
@media (max-width: ${narrowPage - 1}px) {
  main { padding: 24px 14px 40px; }
  h1 { font-size: 23px; }
  figure { margin: 20px 0 28px; }
  figcaption, details { margin-left: 0; margin-right: 0; }
  .wide { display: none; }
  .narrow { display: block; max-width: 500px; }
  table:not(.columns) th { width: 30%; }
  th, td { padding-right: 12px; }
}
`;

/** A figure of a report, made from plain data. */
export interface Figure {
  /** Of its files. */
  name: string;
  title: string;
  /** What is seen, in a sentence or two. */
  caption: string;
  /** An SVG document, painted with `colors`. */
  draw(size: Size): string;
  /** Its numbers, where the picture has more of them than a reader can tell from it. */
  table?: Table;
}
