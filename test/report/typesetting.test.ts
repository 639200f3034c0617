import { describe, expect, it } from "vitest";
import { exponentText, numberText, prose } from "../../lib/report/numbers.js";
import { escapeMarkup, htmlText, svgScripts, textWidth } from "../../lib/report/typesetting.js";
import { raster } from "../../lib/report/write.js";
import { type FoundElement, find } from "./helpers.js";

describe("text", () => {
  it("is escaped", () => {
    expect(escapeMarkup('<a b="c">&')).toBe("&lt;a b=&quot;c&quot;&gt;&amp;");
    expect(htmlText("λc < 2/ηc & 10⁻⁴, λcritical")).toBe(
      "λ<sub>c</sub> &lt; 2/\u2060η<sub>c</sub> &amp; 10<sup>−4</sup>, λcritical",
    );
  });
  it("comes back to its line after a subscript or an exponent", () => {
    const svg = svgScripts('<svg><text x="1">2/ηc = 10⁻⁴ and λc</text><title>λc</title></svg>');
    expect(find(svg, "text")[0]?.textContent).toBe("2/ηc = 10−4 and λc");
    expect(svg).toContain("<title>λc</title>");
    // In units of the line's font size, each span moves by its dy times its own size.
    const size = (span: FoundElement) => Number.parseFloat(span.getAttribute("font-size") ?? "1");
    let y = 0;
    const heights = find(svg, "tspan").map((span) => {
      y += Number.parseFloat(span.getAttribute("dy") ?? "0") * size(span);
      return [span.textContent, Number(y.toFixed(2))];
    });
    expect(heights).toEqual([
      ["c", 0.2],
      [" = 10", 0],
      ["−4", -0.33],
      [" and λ", 0],
      ["c", 0.2],
    ]);
  });
});

it("numbers", () => {
  expect(["10", "0.05", "1,234", "–", "∞"]).toEqual([10, 0.05, 1234, null, Infinity].map((v) => prose(v, 4)));
  expect(prose(0)).toBe("0");
  expect(prose(-0.00001234)).toBe("−1.23·10⁻⁵");
  expect(exponentText(1e12)).toBe("10¹²");
  expect(numberText(0.1, { step: 0.05 })).toBe("0.10");
});

describe("the font of pictures", () => {
  it("is found without any font of the machine's", () => {
    expect(textWidth("MM", 12)).toBeCloseTo(2 * textWidth("M", 12), 1);
    expect(textWidth("M", 24)).toBeCloseTo(2 * textWidth("M", 12), 1);
    expect(textWidth(" ", 12)).toBeGreaterThan(1);
  });
  it("has every character that figures use", async () => {
    const pictures = new Map<string, string>();
    for (const character of "ABηλθΔβε∞−÷·→±≤∇0123456789") {
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"><text x="2" y="18" font-family="Inter" font-size="16">${character}</text></svg>`;
      const picture = Buffer.from(await raster(svg, 1)).toString("base64");
      // Characters that are missing would all look the same.
      expect(pictures.get(picture), character).toBeUndefined();
      pictures.set(picture, character);
    }
  });
});
