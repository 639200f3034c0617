import { createRequire } from "node:module";
import path from "node:path";

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
