const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function superscript(n: number): string {
  const digits = [...String(Math.abs(n))].map((d) => superscripts[Number(d)]).join("");
  return n < 0 ? `⁻${digits}` : digits;
}

/** 10⁻³, 2·10⁵ */
export function exponentText(value: number): string {
  const [digits, power] = Number(value.toPrecision(12)).toExponential().split("e") as [string, string];
  const ten = `10${superscript(Number(power))}`;
  return Number(digits) === 1 ? ten : `${minus(digits)}·${ten}`;
}

/**
 * A number as a tick's label.
 *
 * @param step between ticks: all of them get the decimals that this one needs.
 * @param largest of them: all are written with a power of ten, or none.
 */
export function numberText(
  value: number,
  { step, largest = Math.abs(value) }: { step?: number; largest?: number } = {},
): string {
  if (value === 0) return "0";
  if (largest >= 1e6 || largest < 1e-3) return exponentText(value);
  if (step === undefined) return minus(value.toLocaleString("en-US", { maximumSignificantDigits: 6 }));
  const decimals = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return minus(value.toLocaleString("en-US", digits));
}

const minus = (text: string) => text.replace("-", "−");

/** A number in a sentence: 0.0123, 1,230, 1.2·10⁻⁵, ∞, or – where there is none. */
export function prose(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const rounded = Number(value.toPrecision(digits));
  const size = Math.abs(rounded);
  if (size > 0 && (size >= 1e6 || size < 1e-3)) return exponentText(rounded);
  return minus(rounded.toLocaleString("en-US", { maximumSignificantDigits: digits }));
}

/** 1,234,567 */
export function integerText(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** "1 step", "2 steps" */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${integerText(count)} ${count === 1 ? one : many}`;
}
