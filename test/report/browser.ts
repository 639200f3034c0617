import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseHTML } from "linkedom";

/** A real browser; Debian's package is called chromium. */
const browser = [process.env.CRITICAL_SHARPNESS_CHROMIUM, "/usr/bin/chromium"].find(
  (file) => file !== undefined && existsSync(file),
);
export const hasBrowser = browser !== undefined;
if (!hasBrowser)
  console.warn("No /usr/bin/chromium (CRITICAL_SHARPNESS_CHROMIUM): the tests in a browser are skipped");

export interface SeenPage {
  /** How much wider the page is than its window, in pixels. */
  overflow: number;
  figures: {
    width: number;
    texts: number;
    /** Texts that stick out of their picture. */
    outside: string[];
    /** Pixels of each of the colours asked for. */
    pixels: Record<string, number>;
    /** Width of the PNG beside it; 0 if it cannot be shown. */
    png: number;
  }[];
}

/** How Chromium lays out a report, and what it paints. */
export function seeReport(html: string, width: number, colors: readonly string[]): SeenPage {
  const file = path.join(path.dirname(html), "seen.html");
  const look = `<script>(${lookAround})(${JSON.stringify(colors)})</script>`;
  writeFileSync(file, readFileSync(html, "utf8").replace("</body>", `${look}</body>`));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu"];
  const dom = execFileSync(
    browser as string,
    [...flags, `--window-size=${width},900`, "--dump-dom", pathToFileURL(file).href],
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 100_000, maxBuffer: 2 ** 26 },
  );
  return JSON.parse(parseHTML(dom).document.body.getAttribute("data-seen") as string);
}

/** Runs in the page. What it waits for are images, which the page's own load event waits for too. */
const lookAround = `(colors) => {
  const { body, documentElement: root } = document;
  const load = (src) => body.appendChild(Object.assign(new Image(), { src, style: "position:absolute;visibility:hidden;width:1px;height:1px" }));
  const paint = (image, { width, height }) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const counts = {};
    for (const color of colors) {
      const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
      counts[color] = 0;
      for (let i = 0; i < data.length; i += 4)
        if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 6) counts[color]++;
    }
    return counts;
  };
  const figures = [...document.querySelectorAll("figure")].map((figure) => {
    const svg = figure.querySelector("svg");
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")];
    const outside = texts.filter((text) => {
      const box = text.getBoundingClientRect();
      return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
    });
    const picture = load("data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(svg)));
    const png = load([...figure.querySelectorAll("a")].find((link) => link.textContent === "PNG").href);
    const seen = { width: frame.width, texts: texts.length, outside: outside.map((text) => text.textContent) };
    return () => ({ ...seen, pixels: paint(picture, frame), png: png.naturalWidth });
  });
  const overflow = root.scrollWidth - root.clientWidth;
  addEventListener("load", () => {
    body.dataset.seen = JSON.stringify({ overflow, figures: figures.map((look) => look()) });
  });
}`;
