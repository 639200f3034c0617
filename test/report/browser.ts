import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
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

export type Theme = "light" | "dark";

/** A page as it is laid out in a window of a width. */
export interface SeenPage {
  width: number;
  height: number;
  /** How much wider the page is than its window, in pixels. */
  overflow: number;
  background: string;
  figures: SeenFigure[];
  /** Words of the page's text that go over the end of a line. */
  brokenWords: string[];
  /** Texts with less contrast than WCAG's AA asks for, with their ratio. */
  faint: string[];
}

export interface SeenFigure {
  width: number;
  texts: number;
  /** Texts that stick out of their picture. */
  outside: string[];
  /** Pairs of texts that cover one another. */
  covered: string[];
  /** Classes of marks that stick out of the frame. */
  beyondFrame: string[];
  /** What a reader hears who sees nothing. */
  spoken: string;
}

/** How Chromium lays out a page in windows of some widths, in a theme; a picture of them side by side goes into `picture`, if any. */
export function seePage(
  html: string,
  { theme, widths, picture }: { theme: Theme; widths: readonly number[]; picture?: string },
): SeenPage[] {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-seen-"));
  try {
    const file = path.join(folder, "seen.html");
    writeFileSync(file, frames(html, widths));
    const show = (size: string, ...flags: string[]) =>
      execFileSync(
        browser as string,
        [
          ...["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"],
          `--blink-settings=preferredColorScheme=${theme === "dark" ? 0 : 1}`,
          `--window-size=${size}`,
          ...flags,
          pathToFileURL(file).href,
        ],
        { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 100_000, maxBuffer: 2 ** 26 },
      );
    const dom = show("1600,900", "--dump-dom");
    const seen: SeenPage[] = JSON.parse(
      parseHTML(dom).document.body.getAttribute("data-seen") ?? "Chromium showed nothing",
    );
    if (picture) {
      mkdirSync(path.dirname(picture), { recursive: true });
      const width = widths.reduce((sum, own) => sum + own, 0);
      show(`${width},${Math.max(...seen.map(({ height }) => height))}`, `--screenshot=${picture}`);
    }
    return seen;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A page of windows: a window of the browser's own is never as narrow as a telephone. */
function frames(html: string, widths: readonly number[]): string {
  const source = html.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  const windows = widths.map((width) => `<iframe style="width:${width}px" srcdoc="${source}"></iframe>`);
  return `<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<style>body{margin:0;display:flex;width:max-content;align-items:start}iframe{border:0;height:900px}</style>
<body>${windows.join("")}<script>
const look = ${lookAround};
addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")];
  document.body.dataset.seen = JSON.stringify(frames.map((frame) => look(frame.contentWindow)));
  for (const frame of frames) frame.style.height = frame.contentDocument.documentElement.scrollHeight + "px";
});
</script></body>`;
}

/** Runs in the browser. */
const lookAround = `(window) => {
  const { document } = window;
  const { body, documentElement: root } = document;
  const sticksOut = (inner, outer, by) =>
    inner.left < outer.left - by || inner.right > outer.right + by || inner.top < outer.top - by || inner.bottom > outer.bottom + by;
  const covers = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;

  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = ([r, g, b, a = 1], [R, G, B], opacity = 1) => [r, g, b].map((c, i) => c * a * opacity + [R, G, B][i] * (1 - a * opacity));
  const luminance = (color) => {
    const [r, g, b] = color.map((c) => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const style = (element) => window.getComputedStyle(element);
  const page = rgb(style(body).backgroundColor);
  const faint = [];
  const judge = (text, color, background) => {
    const ratio = contrast(color, background);
    if (!(ratio >= 4.5)) faint.push(text.slice(0, 30) + " " + ratio.toFixed(2));
  };

  const brokenWords = [];
  const walker = document.createTreeWalker(body, window.NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (parent.closest("svg, caption") || !node.data.trim() || !parent.getClientRects().length) continue;
    judge(node.data.trim(), rgb(style(parent).color), page);
    for (const { 0: word, index } of node.data.matchAll(/[\\p{L}\\p{N}_.,]+/gu)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const tops = new Set([...range.getClientRects()].filter(({ width }) => width > 0).map(({ top }) => Math.round(top)));
      if (tops.size > 1) brokenWords.push(word);
    }
  }

  const figures = [...document.querySelectorAll("figure")].map((figure) => {
    const svg = [...figure.querySelectorAll("svg")].find((svg) => svg.getClientRects().length > 0);
    const place = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent !== "");
    const boxes = texts.map((text) => text.getBoundingClientRect());
    const named = (i) => texts[i].textContent;
    const covered = [];
    boxes.forEach((box, i) => boxes.slice(0, i).forEach((other, j) => covers(box, other) && covered.push(named(j) + " | " + named(i))));
    const picture = rgb(style(svg.querySelector("rect")).fill);
    const cells = [...svg.querySelectorAll(".cells rect")];
    for (const text of texts) {
      const cell = text.closest(".cell-texts") ? cells[[...text.parentElement.children].indexOf(text)] : undefined;
      const behind = cell ? over(rgb(style(cell).fill), picture, Number(style(cell).fillOpacity)) : picture;
      judge(text.textContent, rgb(style(text).fill), behind);
    }
    const frame = svg.querySelector('[aria-label="frame"]').getBoundingClientRect();
    const marks = [...svg.querySelectorAll("g[class]")].filter((mark) => mark.getAttribute("class") !== "legend");
    const beyondFrame = marks.flatMap((mark) =>
      [...mark.querySelectorAll("path, line, circle, rect, text")].some((shape) => sticksOut(shape.getBoundingClientRect(), frame, 8)) ? [mark.getAttribute("class")] : []);
    const bars = [...svg.querySelectorAll("g[class$=bars] line, g[class=bracket] line")];
    if (bars.some((bar) => sticksOut(bar.getBoundingClientRect(), frame, 1.5))) beyondFrame.push("an error bar");
    return {
      width: place.width,
      texts: texts.length,
      outside: texts.filter((_, i) => sticksOut(boxes[i], place, 1)).map((text) => text.textContent),
      covered,
      beyondFrame,
      spoken: svg.getAttribute("role") === "img" ? svg.getAttribute("aria-label") : "",
    };
  });
  return {
    width: window.innerWidth,
    height: root.scrollHeight,
    overflow: root.scrollWidth - root.clientWidth,
    background: style(body).backgroundColor,
    figures, brokenWords, faint,
  };
}`;
