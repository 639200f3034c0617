import { readFile } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { badConfiguration } from "./configuration-errors.js";

export interface ConfigurationPlace {
  /** The file that the configuration comes from, for messages. */
  file?: string;
  /** What relative paths are relative to. Default: the current directory. */
  base?: string;
}

/** What stands in a configuration file, not checked yet. @throws CriticalSharpnessError `ERR_FILE`, `ERR_CONFIGURATION`. */
export async function readConfigurationFile(
  file: string,
): Promise<{ input: unknown; place: Required<ConfigurationPlace> }> {
  const text = await readFile(file, "utf8").catch((error) => {
    const message = `Expected a readable file for "${file}" but received: ${error.message}`;
    throw new CriticalSharpnessError("ERR_FILE", message, { cause: error });
  });
  try {
    const place = { file: path.basename(file), base: path.dirname(file) };
    return { input: JSON.parse(text), place };
  } catch (error) {
    const message = `Expected JSON for the configuration but received: ${(error as Error).message}`;
    throw badConfiguration(message, path.basename(file));
  }
}
