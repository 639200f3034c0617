import { mkdir } from "node:fs/promises";
import path from "node:path";
import { writeWhole, writing } from "../../files/index.js";
import type { Report } from "../../report/index.js";
import type { AlongResult } from "../../sharpness/index.js";
import type { AlongRecord } from "./along-report.js";

/** The way to another model, measured. */
export interface MeasuredWay {
  /** Where the other model is. */
  to: string;
  /** What it is called. */
  name: string;
  result: AlongResult;
}

/**
 * Writes what was found on the ways from one model to others into a folder: along.json, along.csv, report.html, report.png and
 * figures/. Files of an earlier one are replaced.
 *
 * @returns what was recorded, and its files
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_RUN_DIRECTORY` where it cannot be written.
 */
export async function writeAlong(
  folder: string,
  model: string,
  measured: readonly MeasuredWay[],
): Promise<{ record: AlongRecord; files: Report & { json: string } }> {
  // Loaded when it is needed: what draws is large.
  const { alongReport, alongWay } = await import("./along-report.js");
  const { writeReportFiles } = await import("../../report/index.js");
  const record: AlongRecord = { model, ways: measured.map(alongWay) };
  const json = path.join(folder, "along.json");
  await writing(json, async () => {
    await mkdir(folder, { recursive: true });
    await writeWhole(json, `${JSON.stringify(record)}\n`);
  });
  const files = await writeReportFiles(folder, alongReport(record), "along.csv");
  return { record, files: { json, ...files } };
}
