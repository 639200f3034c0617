import { createRequire } from "node:module";
import path from "node:path";

/** What all figures share. Colours: after Okabe and Ito, told apart by colour-blind readers, legible on white. */
export const colors = {
  ink: "#1f2328",
  muted: "#57606a",
  frame: "#8c959f",
  grid: "#e4e8ec",
  background: "#ffffff",
  blue: "#0072b2",
  vermillion: "#d55e00",
  green: "#00805d",
  purple: "#a03b85",
  sky: "#56b4e9",
} as const;

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

/** Of a figure that stands alone. */
export const figureSize: Size = { width: 760, height: 420 };

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

/** A figure of a report, made from plain data: any experiment's. */
export interface Figure {
  /** Of its files. */
  name: string;
  title: string;
  /** What is seen, in a sentence or two. */
  caption: string;
  /** An SVG document. */
  draw(size: Size): string;
}
