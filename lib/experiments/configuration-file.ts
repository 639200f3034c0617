import path from "node:path";
import { readText } from "../data/text-file.js";
import { badConfiguration } from "./configuration-errors.js";

export interface ConfigurationPlace {
  /** The file that the configuration comes from, for messages. */
  file?: string;
  /** What relative paths are relative to. Default: the current directory. */
  base?: string;
}

/** What stands in a configuration file, not checked yet. @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA`, `ERR_CONFIGURATION`. */
export async function readConfigurationFile(
  file: string,
): Promise<{ input: unknown; place: Required<ConfigurationPlace> }> {
  const text = await readText(file);
  try {
    const place = { file: path.basename(file), base: path.dirname(file) };
    return { input: JSON.parse(text), place };
  } catch (error) {
    const message = `Expected JSON for the configuration but received: ${(error as Error).message}`;
    throw badConfiguration(message, path.basename(file));
  }
}
