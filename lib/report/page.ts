import { escapeMarkup, htmlSubscripts } from "./markup.js";
import { colors } from "./style.js";

export interface PageFigure {
  title: string;
  caption: string;
  svg: string;
  /** Files beside the page, relative. */
  files: { svg: string; png: string };
}

export interface Page {
  title: string;
  lead: string;
  summary: readonly (readonly [label: string, value: string])[];
  figures: readonly PageFigure[];
  links: readonly (readonly [file: string, text: string])[];
}

/** A page that needs nothing else: no network, no script, no other file. */
export function page({ title, lead, summary, figures, links }: Page): string {
  const rows = summary.map(
    ([label, value]) => `<tr><th>${escapeMarkup(label)}</th><td>${escapeMarkup(value)}</td></tr>`,
  );
  const sections = figures.map(
    (figure) => `<figure>
${figure.svg}
<figcaption><b>${text(figure.title)}.</b> ${text(figure.caption)} <span class="files"><a href="${escapeMarkup(figure.files.svg)}">SVG</a> <a href="${escapeMarkup(figure.files.png)}">PNG</a></span></figcaption>
</figure>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${text(title)}</h1>
<p>${text(lead)}</p>
<table>${rows.map(htmlSubscripts).join("\n")}</table>
${sections.join("\n")}
<p>${links.map(([file, label]) => `<a href="${escapeMarkup(file)}">${text(label)}</a>`).join(" · ")}</p>
</main>
</body>
</html>
`;
}

const text = (value: string) => htmlSubscripts(escapeMarkup(value));

const style = `
body { margin: 0; background: ${colors.background}; color: ${colors.ink}; font: 16px/1.5 Inter, system-ui, sans-serif; }
main { max-width: 880px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; line-height: 1.25; }
table { border-collapse: collapse; font-size: 14px; width: 100%; }
th { text-align: left; font-weight: 600; width: 12em; vertical-align: top; }
th, td { padding: 5px 8px; border-bottom: 1px solid ${colors.grid}; }
figure { margin: 32px 0; }
figure svg { width: 100%; height: auto; }
figcaption { font-size: 14px; color: ${colors.muted}; }
sub { line-height: 0; }
`;
