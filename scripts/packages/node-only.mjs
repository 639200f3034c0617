import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, realpathSync, symlinkSync } from "node:fs";
import path from "node:path";
import { root, run, stop, works } from "../run.mjs";

/** The versions that run on the oldest Node.js that is supported. */
const tools = ["pnpm@10", "@yarnpkg/cli-dist@4"];

/**
 * An environment for child processes whose PATH holds node, npm, pnpm, yarn and a shell, and whose caches are empty folders of
 * its own. pnpm and Yarn come from npm, into build/.
 */
export function nodeOnly(work) {
  const own = path.join(root, "build/package-managers");
  if (!existsSync(path.join(own, "node_modules/pnpm"))) {
    mkdirSync(own, { recursive: true });
    run("npm", ["install", "--silent", "--no-save", "--ignore-scripts", `--prefix=${own}`, ...tools]);
  }
  const bin = path.join(work, "bin");
  mkdirSync(bin);
  const npm = execFileSync("npm", ["root", "--global"], { encoding: "utf8" }).trim();
  const programs = {
    node: process.execPath,
    npm: path.join(npm, "npm/bin/npm-cli.js"),
    pnpm: path.join(own, "node_modules/pnpm/bin/pnpm.cjs"),
    yarn: path.join(own, "node_modules/@yarnpkg/cli-dist/bin/yarn.js"),
    sh: "/bin/sh",
  };
  for (const [name, file] of Object.entries(programs)) symlinkSync(realpathSync(file), path.join(bin, name));
  for (const tool of ["cc", "c++", "g++", "make", "cmake", "python3", "python"])
    if (works(tool, { PATH: bin })) stop(`Expected a PATH without ${tool} but it has one`);
  const registry = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim();
  const { HOME, TMPDIR, NODE_EXTRA_CA_CERTS, HTTPS_PROXY, HTTP_PROXY, NO_PROXY } = process.env;
  const cache = path.join(work, "cache");
  const environment = {
    HOME,
    TMPDIR,
    NODE_EXTRA_CA_CERTS,
    HTTPS_PROXY,
    HTTP_PROXY,
    NO_PROXY,
    PATH: bin,
    // No libtorch that lies elsewhere is found: it must come with the package.
    XDG_CACHE_HOME: cache,
    npm_config_store_dir: path.join(cache, "pnpm"),
    YARN_GLOBAL_FOLDER: path.join(cache, "yarn"),
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_ENABLE_TELEMETRY: "0",
    CI: "1",
    OMP_NUM_THREADS: "1", // two busy threads slow each other down on a machine that has other work
  };
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined));
}
