/** A result on standard output: JSON for machines, or lines for people. */
export function print(result: unknown, json: boolean | undefined, lines: () => string[]): void {
  process.stdout.write(`${json ? JSON.stringify(result, null, 2) : lines().join("\n")}\n`);
}

/** Labels and values, the values in a column. */
export function table(rows: readonly (readonly [label: string, value: string])[]): string[] {
  const width = rows.reduce((most, [label]) => Math.max(most, label.length), 0);
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
}

/** A number with four significant digits. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return Number(value.toPrecision(4)).toString();
}

/** 1 h 5 min, 3 min 20 s, 12 s */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

/** Every string in a result, a line each: the files that it names. */
export function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(strings) : [];
}
