import { existsSync } from "node:fs";
import path from "node:path";

/** Folder of real models and texts, which are not part of this repository. */
export const realData =
  process.env.CRITICAL_SHARPNESS_DATA ?? path.resolve(import.meta.dirname, "../../../shared/data");

/** Whether it is there; where it is not, tests that need it are skipped and say so. */
export const hasRealData = existsSync(path.join(realData, "stories260k/model.safetensors"));
if (!hasRealData)
  console.warn(`No real data in "${realData}" (CRITICAL_SHARPNESS_DATA): the tests that use it are skipped`);
