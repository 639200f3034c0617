import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { libtorchVersion } from "../../lib/torch/libtorch.js";
import { readBuildNote } from "../../lib/torch/locate-libtorch.js";
import { bare, folder } from "./support.js";

const checkout = path.resolve(import.meta.dirname, "../..");

/** The libtorch that the tests run on. */
export const libtorch = readBuildNote()?.root as string;
/** Whether the addon was built with CUDA: it does not run on a CPU libtorch then. */
export const builtWithCuda = readBuildNote()?.cuda ?? false;

/** A folder with this package in node_modules as npm installs it, without the package that brings libtorch. */
export function installed(version = "1.0.0"): string {
  const root = folder();
  const own = path.join(root, "node_modules/critical-sharpness");
  cpSync(path.join(checkout, "dist"), path.join(own, "dist"), { recursive: true });
  const prebuilds = path.join(own, `prebuilds/${process.platform}-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  const addon = "critical_sharpness.node";
  cpSync(path.join(checkout, "build/Release", addon), path.join(prebuilds, "critical-sharpness.glibc.node"));
  writeFileSync(
    path.join(own, "package.json"),
    JSON.stringify({ name: "critical-sharpness", version, type: "module" }),
  );
  for (const name of readdirSync(path.join(checkout, "node_modules")))
    if (name !== "@critical-sharpness" && !name.startsWith("."))
      symlinkSync(path.join(checkout, "node_modules", name), path.join(root, "node_modules", name));
  return root;
}

/** The URL of a compiled module in an installed package, as text for a program. */
export const moduleIn = (root: string, name: string) =>
  JSON.stringify(pathToFileURL(path.join(root, "node_modules/critical-sharpness/dist", `${name}.js`)).href);

/** Runs a program in a process of its own and gives what it printed as JSON. */
export function run(text: string, variables: Record<string, string> = {}, options: Run = {}) {
  const { flags = [], ...how } = options;
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...flags, "--input-type=module", "-e", text],
    { encoding: "utf8", env: bare(variables), ...how },
  );
  const printed = stdout ? JSON.parse(stdout) : undefined;
  return { status, signal, stderr, printed };
}
export interface Run {
  flags?: string[];
  uid?: number;
  gid?: number;
}

/** A program that loads an installed package's addon, computes, and prints the outcome. */
export const loading = (root: string, before = "") => `
  ${before}
  const { native } = await import(${moduleIn(root, "torch/load")});
  try { console.log(JSON.stringify(await native().info())) }
  catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`;

/** A libtorch with the real libraries, as links. */
export function linkedTree(root = folder()): string {
  mkdirSync(path.join(root, "lib"), { recursive: true });
  for (const name of readdirSync(path.join(libtorch, "lib")).filter((name) =>
    /^lib(c10|torch_cpu|gomp)/.test(name),
  ))
    symlinkSync(path.join(libtorch, "lib", name), path.join(root, "lib", name));
  writeFileSync(path.join(root, "build-version"), `${libtorchVersion}\n`);
  return root;
}

/** Compiles a shared library of a few lines of C++. */
export function compile(file: string, source: string): void {
  const { status, stderr } = spawnSync(
    process.env.CXX || "c++",
    ["-shared", "-fPIC", `-Wl,-soname=${path.basename(file)}`, "-x", "c++", "-", "-o", file],
    { input: source, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(stderr);
}
