// `npm run docs`: docs/reference.md and docs/schemas/ from the option sets and commands, docs/api/ from the docstrings.
// With --check it only says whether the first two are as they should be.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { makeProgram } from "../dist/cli/program.js";
import {
  checkSchema,
  mixSchema,
  probesSchema,
  seriesSchema,
  trainSchema,
} from "../dist/experiments/index.js";
import { jsonSchemaOf, referenceOf } from "../dist/options/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Configurations that are files, by their command. */
const files = { train: trainSchema, mix: mixSchema };

/** What is made, by its place. */
export async function references() {
  const schemas = Object.entries(files).map(([name, schema]) => [
    `docs/schemas/${name}.json`,
    `${JSON.stringify(jsonSchemaOf(schema, `Configuration of critical-sharpness ${name}`), null, 2)}\n`,
  ]);
  return { "docs/reference.md": await page(), ...Object.fromEntries(schemas) };
}

async function page() {
  const { commands } = await makeProgram();
  const plain = (text) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
  const options = commands.flatMap((command) => [
    `### ${command.name()}\n`,
    `${command.description()}\n`,
    `\`critical-sharpness ${command.name()} ${command.usage()}\`\n`,
    "| flag | |",
    "| --- | --- |",
    ...command.options.map(({ flags, description, defaultValue, argChoices, negate }) => {
      const usual = defaultValue === undefined || negate ? "" : ` (default: ${defaultValue})`;
      const choices = argChoices ? ` (${argChoices.join(", ")})` : "";
      return `| \`${flags}\` | ${plain(description + choices + usual)} |`;
    }),
    "",
  ]);
  return `${[
    "# Reference\n",
    "Every key of every configuration and every flag of every command. `npm run docs` makes this page of what the code says.\n",
    "## Configurations\n",
    "A configuration is a JSON file; paths in it are relative to it, and `null` switches a part off. A flag takes the place of a key.",
    "An editor completes and checks it if its first line names the schema, which the package brings:\n",
    "```json",
    '{ "$schema": "./node_modules/critical-sharpness/docs/schemas/train.json" }',
    "```\n",
    "### train\n",
    `${referenceOf(trainSchema)}\n`,
    "### mix\n",
    `${referenceOf(mixSchema)}\n`,
    "### checkpoints\n",
    "Made of flags on the command line; the library takes it as an object.\n",
    `${referenceOf(seriesSchema)}\n`,
    "### check\n",
    "Made of flags on the command line; the library takes it as an object.\n",
    `${referenceOf(checkSchema)}\n`,
    "### watch-probes\n",
    "Made of flags on the command line; the library takes it as an object.\n",
    `${referenceOf(probesSchema)}\n`,
    "## Commands\n",
    ...options,
  ]
    .join("\n")
    .trimEnd()}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = Object.entries(await references());
  if (process.argv.includes("--check")) {
    const old = made.filter(([file, text]) => readFileSync(path.join(root, file), "utf8") !== text);
    if (old.length > 0) throw new Error(`Run \`npm run docs\`: ${old.map(([file]) => file).join(", ")}`);
  } else {
    mkdirSync(path.join(root, "docs/schemas"), { recursive: true });
    for (const [file, text] of made) writeFileSync(path.join(root, file), text);
    // typedoc needs a compiler with an interface for programs, which that of this package does not have yet.
    const packages = ["typedoc@0.28.14", "typescript@5.9.3"].flatMap((name) => ["--package", name]);
    const options = ["--out", "docs/api", "--readme", "none", "--excludeInternal", "--skipErrorChecking"];
    const call = ["exec", "--yes", ...packages, "--", "typedoc", ...options, "lib/index.ts"];
    execFileSync("npm", call, { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  }
}
