import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const folder = path.dirname(require.resolve("@expo-google-fonts/inter/package.json"));

/** Inter, under the SIL Open Font License: a machine may have no font at all. */
export const fontFiles = ["400Regular/Inter_400Regular.ttf", "600SemiBold/Inter_600SemiBold.ttf"].map(
  (file) => path.join(folder, file),
);

/** For SVG and CSS: where it is read, Inter may not be there. */
export const fontFamily = "Inter, 'Helvetica Neue', Arial, sans-serif";
