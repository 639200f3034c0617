import type { Size } from "./style.js";

/** A figure of a report, made from plain data: any experiment's. */
export interface Figure {
  /** Of its files. */
  name: string;
  title: string;
  /** What is seen, in a sentence or two. */
  caption: string;
  /** An SVG document. */
  draw(size: Size): string;
}
