import { colors } from "./style.js";

/** The style sheet of a page. */
export function pageStyle(fontFamily: string): string {
  return `
:root { color-scheme: light; }
body { margin: 0; background: ${colors.background}; color: ${colors.ink}; font: 16px/1.55 ${fontFamily}; }
main { max-width: 860px; margin: 0 auto; padding: 40px 24px 56px; }
h1 { margin: 0 0 8px; font-size: 28px; line-height: 1.25; font-weight: 600; }
h2 { margin: 36px 0 8px; font-size: 19px; font-weight: 600; }
header p { margin: 0; color: ${colors.muted}; }
figure { margin: 24px -14px 32px; break-inside: avoid; }
figure svg { display: block; width: 100%; min-width: 560px; height: auto; }
.picture { overflow-x: auto; }
figcaption { margin: 4px 14px 0; font-size: 14.5px; color: ${colors.muted}; }
figcaption b { font-weight: 600; color: ${colors.ink}; }
.files { white-space: nowrap; }
.files a { margin-left: 6px; }
table { width: 100%; border-collapse: collapse; font-size: 14.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 4.5px 12px 4.5px 0; border-bottom: 1px solid ${colors.grid}; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { width: 9.5em; font-weight: 400; color: ${colors.muted}; overflow-wrap: normal; }
table:not(.columns) td:nth-child(2):nth-last-child(2) { width: 4em; text-align: right; padding-right: 24px; }
.columns th { width: auto; }
a { color: ${colors.blue}; text-decoration: none; }
a:hover { text-decoration: underline; }
sub, sup { font-size: 0.75em; line-height: 0; }
ul { padding-left: 1.2em; margin: 0; }
footer { font-size: 14.5px; }
`;
}
