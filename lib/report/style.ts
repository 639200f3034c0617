/** What all figures share. Colours: after Okabe and Ito, told apart by colour-blind readers, legible on white. */
export const colors = {
  ink: "#1f2328",
  muted: "#57606a",
  frame: "#8c959f",
  grid: "#e4e8ec",
  background: "#ffffff",
  blue: "#0072b2",
  vermillion: "#d55e00",
  green: "#00805d",
  purple: "#a03b85",
  sky: "#56b4e9",
} as const;

/** In pixels of the figure. */
export const sizes = {
  title: 15.5,
  text: 12.5,
  padding: 14,
  line: 2,
} as const;

export interface Size {
  width: number;
  height: number;
}

/** Of a figure that stands alone. */
export const figureSize: Size = { width: 760, height: 420 };
