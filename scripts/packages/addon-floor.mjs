// The oldest system that an addon loads on, from the symbols that it needs.
import { execFileSync } from "node:child_process";
import { stop } from "../run.mjs";

/** The newest version that a shared library of Linux needs of each system library: { GLIBC: "2.28", GLIBCXX: "3.4.22" }. */
export function neededVersions(file) {
  const symbols = execFileSync("objdump", ["-T", file], { encoding: "utf8", maxBuffer: 1 << 28 });
  const needed = {};
  for (const [, name, version] of symbols.matchAll(/\((GLIBC|GLIBCXX)_([\d.]+)\)/g))
    if (!needed[name] || newer(version, needed[name])) needed[name] = version;
  return needed;
}

function newer(a, b) {
  return a.localeCompare(b, "en", { numeric: true }) > 0;
}

/** Ends the script if an addon needs a newer system than the libtorch of its platform. */
export function checkFloor(file, { floor, os, cpu }) {
  if (!floor || process.platform !== "linux") return;
  const { GLIBC = "0", GLIBCXX = "0" } = neededVersions(file);
  console.log(`The addon for ${os}-${cpu} needs glibc ${GLIBC} and libstdc++ ${GLIBCXX}`);
  if (newer(GLIBC, floor.glibc) || newer(GLIBCXX, floor.libstdcxx))
    stop(
      `Expected an addon for glibc ${floor.glibc} and libstdc++ ${floor.libstdcxx} but "${file}" needs glibc ${GLIBC} and libstdc++ ${GLIBCXX}: see native/glibc_floor.h`,
    );
}
