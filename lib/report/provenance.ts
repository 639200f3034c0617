/** What every kind of run records of how it came about. */
interface Provenance {
  configuration: { dtype: string; seed: number };
  created: string | undefined;
  versions: Readonly<Record<string, string>>;
}

/** How a run came about, for a table. */
export function provenanceRows({ configuration, created, versions }: Provenance): [string, string][] {
  return [
    ["Arithmetic", configuration.dtype],
    ["Seed", String(configuration.seed)],
    ...(created ? [["Begun", created.replace("T", " ").replace(/\.\d+Z$/, " UTC")] as [string, string]] : []),
    [
      "Versions",
      Object.entries(versions)
        .map((pair) => pair.join(" "))
        .join(", "),
    ],
  ];
}
