const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function superscript(n: number): string {
  const digits = [...String(Math.abs(n))].map((d) => superscripts[Number(d)]).join("");
  return n < 0 ? `⁻${digits}` : digits;
}

/** 10⁻³, 2·10⁵ */
export function exponentText(value: number): string {
  const [digits, power] = value.toExponential().split("e") as [string, string];
  const ten = `10${superscript(Number(power))}`;
  return Number(digits) === 1 ? ten : `${digits.replace("-", "−")}·${ten}`;
}

/**
 * A number as a tick's label.
 *
 * @param step between ticks: all of them get the decimals that this one needs.
 * @param largest of them: all are written with a power of ten, or none.
 */
export function numberText(value: number, step?: number, largest = Math.abs(value)): string {
  if (value === 0) return "0";
  if (largest >= 1e6 || largest < 1e-3) return exponentText(Number(value.toPrecision(4)));
  const decimals = step === undefined ? undefined : decimalsOf(step);
  return value
    .toLocaleString("en-US", {
      ...(decimals === undefined
        ? { maximumSignificantDigits: 6 }
        : { minimumFractionDigits: decimals, maximumFractionDigits: decimals }),
    })
    .replace("-", "−");
}

function decimalsOf(step: number): number {
  return Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
}

/** A number in prose, four significant digits or fewer: 0.0123, 1,234, 1.2·10⁻⁵, ∞ */
export function prose(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const rounded = Number(value.toPrecision(digits));
  const size = Math.abs(rounded);
  if (rounded === 0) return "0";
  if (size >= 1e6 || size < 1e-3) return exponentText(rounded);
  return rounded.toLocaleString("en-US", { maximumSignificantDigits: digits }).replace("-", "−");
}

/** 1,234,567 */
export function integerText(value: number): string {
  return value.toLocaleString("en-US");
}
