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
