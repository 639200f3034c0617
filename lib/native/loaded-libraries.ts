import { readFileSync } from "node:fs";

/** The files of the shared libraries and addons in this process, of all its threads. */
export function loadedLibraries(): string[] {
  if (process.platform === "linux") {
    const lines = readFileSync("/proc/self/maps", "utf8").split("\n");
    // address, permissions, offset, device, inode, path; a file that was replaced meanwhile is marked.
    const paths = lines.map((line) => /^\S+ \S+ \S+ \S+ \d+ +(\/.*?)(?: \(deleted\))?$/.exec(line)?.[1]);
    return [...new Set(paths.filter((path) => path !== undefined))];
  }
  return report().sharedObjects ?? [];
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
