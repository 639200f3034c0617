import { libtorchVersion, type Platform, platformOf, platforms } from "./libtorch.js";

/** What decides whether prebuilt files can run here. */
export interface Host {
  os: string;
  cpu: string;
  /** "2.36"; null where the C library is another. */
  glibc: string | null;
}

export function thisHost(): Host {
  const { header } = report();
  return { os: process.platform, cpu: process.arch, glibc: header?.glibcVersionRuntime ?? null };
}

/** What a platform's packages need: "linux-x64 with glibc 2.28 or later". */
export function requirement({ os, cpu, floor }: Platform): string {
  return `${os}-${cpu}${floor ? ` with glibc ${floor.glibc} or later` : ""}`;
}

/**
 * Why the prebuilt files cannot run on a host, and what can be done: one sentence each. Undefined: they can.
 */
export function hostProblem({ os, cpu, glibc }: Host = thisHost()): string | undefined {
  const platform = platformOf(os, cpu);
  if (!platform?.released) {
    const made = platforms.filter(({ released }) => released).map(requirement);
    return `Expected ${made.join(" or ")} for the prebuilt packages but received ${os}-${cpu}. In a source checkout run \`CRITICAL_SHARPNESS_LIBTORCH=<folder of a libtorch ${libtorchVersion}> npm run build\``;
  }
  if (!platform.floor || (glibc !== null && atLeast(glibc, platform.floor.glibc))) return undefined;
  const received =
    glibc === null
      ? "another C library (musl, as in Alpine Linux), which libtorch is not built for"
      : `glibc ${glibc}`;
  return `Expected ${requirement(platform)} but received ${received}. Run Node.js on a newer or another system, as with \`docker run --rm -it -v "$PWD:/app" -w /app node:22-bookworm-slim bash\``;
}

function atLeast(version: string, floor: string): boolean {
  const [a, b] = [version, floor].map((text) => text.split(".").map(Number) as [number, number]) as [
    [number, number],
    [number, number],
  ];
  return a[0] > b[0] || (a[0] === b[0] && a[1] >= b[1]);
}

/** What Node.js reports about this process, without asking the network for the names of hosts. */
export function report(): { header?: { glibcVersionRuntime?: string }; sharedObjects?: string[] } {
  const reporter = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean };
  const before = reporter.excludeNetwork;
  reporter.excludeNetwork = true;
  try {
    return reporter.getReport() as ReturnType<typeof report>;
  } finally {
    reporter.excludeNetwork = before ?? false;
  }
}

/** Whether this machine has a process of that number, be it another user's. */
export function isRunning(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
