import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";

/**
 * The libtorch that releases of this package are built and tested with, and the platforms that they are made for. The one
 * place to change for an upgrade or another platform; docs/releasing.md says how to check it.
 */
export const libtorchVersion = "2.13.0";
/** Of the npm packages with its libraries. One that is published again for the same libtorch gets "2.13.0-1". */
export const libtorchPackageVersion: string = libtorchVersion;
/** The oldest libtorch that the sources are written for. */
export const oldestLibtorch = "2.11";

/** A platform that a package with libtorch's CPU libraries can be made for. */
export interface Platform {
  os: NodeJS.Platform;
  cpu: NodeJS.Architecture;
  libc?: "glibc";
  /** The npm package. */
  package: string;
  /** Whether that package is published, so that the main package depends on it. */
  released: boolean;
  /** PyTorch's CPU build for it, in the version above. One wheel, whatever Python is at hand. */
  wheel: Download & { pipPlatform: string };
  /** What an addon needs of the wheel's torch/lib: names and, where it was taken, the SHA-256 of each. */
  libraries: Readonly<Record<string, string | null>>;
  /** The oldest system that the wheel runs on. The addon needs no newer one. */
  floor?: { glibc: string; libstdcxx: string };
}

/** A file of the official site. */
export interface Download {
  url: string;
  sha256: string;
}

const site = "https://download.pytorch.org/whl/cpu";
const wheel = (tag: string, version: string, sha256: string, pipPlatform: string) => ({
  url: `${site}/torch-${encodeURIComponent(version)}-${tag}-${pipPlatform}.whl`,
  sha256,
  pipPlatform,
});

export const platforms: readonly Platform[] = [
  {
    os: "linux",
    cpu: "x64",
    libc: "glibc",
    package: "@critical-sharpness/libtorch-linux-x64-gnu",
    released: true,
    wheel: wheel(
      "cp311-cp311",
      `${libtorchVersion}+cpu`,
      "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
      "manylinux_2_28_x86_64",
    ),
    libraries: {
      "libc10.so": "52d951ec184bf4ead929cfa5a24daa14cc617bf9e2180b6e551434b6f11d0b3f",
      "libgomp.so.1": "78511033caddec6ccae8f4d62b94d56135f377c4cee33120e6d7df2ef499f69f",
      "libtorch_cpu.so": "872a1bfef377d7f17e9e698b9928d5a4ecd30646ddb68ad22e1fa06bf30bf73f",
    },
    floor: { glibc: "2.28", libstdcxx: "3.4.22" },
  },
  // The two below were never built: their wheels' digests are those of the package index, their libraries what these wheels
  // are known to hold. Packing compares them with what libtorch_cpu really needs.
  {
    os: "linux",
    cpu: "arm64",
    libc: "glibc",
    package: "@critical-sharpness/libtorch-linux-arm64-gnu",
    released: false,
    wheel: wheel(
      "cp311-cp311",
      libtorchVersion,
      "092790c696a760c729fd5722835f50b9d81fd7c8f141571f3f3cf4081a8f664c",
      "manylinux_2_28_aarch64",
    ),
    libraries: { "libc10.so": null, "libgomp.so.1": null, "libtorch_cpu.so": null },
    floor: { glibc: "2.28", libstdcxx: "3.4.22" },
  },
  {
    os: "darwin",
    cpu: "arm64",
    package: "@critical-sharpness/libtorch-darwin-arm64",
    released: false,
    wheel: wheel(
      "cp311-cp311",
      libtorchVersion,
      "e76f9bcecc52b8ff711239a2f7547d5353df95878ab232f0773c1d95928b92f8",
      "macosx_14_0_arm64",
    ),
    libraries: { "libc10.dylib": null, "libomp.dylib": null, "libtorch_cpu.dylib": null },
  },
];

/** The platform of an operating system and a processor, if packages can be made for it. */
export function platformOf(os: string = process.platform, cpu: string = process.arch): Platform | undefined {
  return platforms.find((platform) => platform.os === os && platform.cpu === cpu);
}

/** A folder with libtorch in it. */
export interface LibtorchTree {
  /** Which of the places it was found in. */
  source: string;
  root: string;
  libraryDirectory: string;
  version: string;
  cuda: boolean;
  /** What mends it if it cannot be used: a sentence without its full stop. */
  remedy: string;
}

export const libraryName = (name: string) => `lib${name}.${process.platform === "darwin" ? "dylib" : "so"}`;

export function libtorchError(message: string, cause?: unknown): CriticalSharpnessError {
  return new CriticalSharpnessError("ERR_LIBTORCH_NOT_FOUND", message, { cause });
}

export interface InspectOptions {
  /** Whether the headers are needed too: to build, not to run. */
  headers?: boolean;
  /** What mends a folder that is not whole; ends the message. */
  remedy?: string;
}

/**
 * Looks at a folder and says what libtorch it holds.
 *
 * @param source the place that named the folder, for messages.
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` saying what is missing in it.
 */
export function inspectTree(
  folder: string,
  source: string,
  { headers = false, remedy = "Choose another with CRITICAL_SHARPNESS_LIBTORCH" }: InspectOptions = {},
): LibtorchTree {
  const refuse = (wanted: string, received: string): never => {
    throw libtorchError(`Expected ${wanted} for ${source} but received "${folder}"${received}. ${remedy}`);
  };
  if (!existsSync(folder)) refuse("a libtorch folder", ", which does not exist");
  if (!statSync(folder).isDirectory()) refuse("a libtorch folder", ", which is no folder");
  const root = realpathSync(folder);
  const libraryDirectory = path.join(root, "lib");
  const needed = ["c10", "torch_cpu"].map((name) => path.join(libraryDirectory, libraryName(name)));
  if (headers) needed.push(path.join(root, "include/ATen/core/Tensor.h"));
  const missing = needed.find((file) => !existsSync(file) || statSync(file).size === 0);
  if (missing)
    refuse(
      `a whole libtorch (lib/ with libtorch_cpu and libc10${headers ? ", include/ with the headers" : ""})`,
      ` without ${path.relative(root, missing)}`,
    );
  const version =
    readVersion(root) ??
    refuse(
      "a libtorch that tells its version (version.py, build-version or headers)",
      " without any of them",
    );
  const cuda = existsSync(path.join(libraryDirectory, libraryName("torch_cuda")));
  return { source, root, libraryDirectory, version, cuda, remedy };
}

/** "2.13.0", from the npm platform package, a Python wheel, the official archive or the headers. */
export function readVersion(root: string): string | undefined {
  const read = (file: string, pattern: RegExp) => {
    const full = path.join(root, file);
    return existsSync(full) ? pattern.exec(readFileSync(full, "utf8"))?.[1] : undefined;
  };
  return (
    read("package.json", /"libtorch":\s*"(\d+\.\d+\.\d+)/) ??
    read("version.py", /__version__ = '(\d+\.\d+\.\d+)/) ??
    read("build-version", /^(\d+\.\d+\.\d+)/) ??
    read("include/torch/headeronly/version.h", /define TORCH_VERSION "(\d+\.\d+\.\d+)/)
  );
}

const numbers = (version: string) => version.split(".").map(Number) as [number, number];

/** Whether an addon built for one version may run on another: same major and minor. C++ classes change between minors. */
export function compatible(built: string, loaded: string): boolean {
  const [a, b] = [numbers(built), numbers(loaded)];
  return a[0] === b[0] && a[1] === b[1];
}

/** Whether the sources can be built against a version. */
export function buildable(version: string): boolean {
  const [[major, minor], oldest] = [numbers(version), numbers(oldestLibtorch)];
  return major === oldest[0] && minor >= oldest[1];
}

const machines: Record<number, string> = { 3: "ia32", 40: "arm", 62: "x64", 183: "arm64" };

/**
 * What is wrong with a shared library of Linux: it cannot be read, is another kind of file, is for another processor, or ends
 * before its table of sections, which linkers put last. Loading a file that ends early can end the process. Undefined: nothing.
 */
export function libraryProblem(file: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" ? "this user may not read it (EACCES)" : `it cannot be opened (${code})`;
  }
  try {
    const header = Buffer.alloc(64);
    const length = readSync(descriptor, header, 0, header.length, 0);
    if (length < header.length || header.readUInt32BE(0) !== 0x7f454c46) return "it is no shared library";
    const machine = machines[header.readUInt16LE(18)] ?? "another processor";
    if (machine !== process.arch) return `it is for ${machine}, not ${process.arch}`;
    const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
    const { size } = fstatSync(descriptor);
    return size < end ? `it ends after ${size} of ${end} bytes` : undefined;
  } finally {
    closeSync(descriptor);
  }
}
