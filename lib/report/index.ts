export { drawChart, type LegendItem, type Mark } from "./chart.js";
export { type Cell, csvText } from "./csv.js";
export {
  type CurvatureData,
  type EdgeOfStability,
  edgeOfStability,
  overThresholds,
  type Spread,
} from "./edge-of-stability.js";
export { changeMapFigure } from "./figures/change-map.js";
export { curvatureFigure, relativeCurvatureFigure } from "./figures/curvature.js";
export { forwardPassesFigure } from "./figures/forward-passes.js";
export { heatMapFigure } from "./figures/heat-map.js";
export { landscapeFigure } from "./figures/landscape.js";
export { learningRateFigure, lossFigure, seriesLossFigure } from "./figures/loss.js";
export { edgeMarks, edgeRoom, errorBars, unresolvedMarks } from "./figures/marks.js";
export { sharpnessFigure } from "./figures/sharpness.js";
export { type ErrorPoint, seriesSharpnessFigure } from "./figures/sharpness-over-series.js";
export { escapeMarkup } from "./markup.js";
export { counted, integerText, prose } from "./numbers.js";
export { document, type PageTable, page, type ReportContent, reportBody } from "./page.js";
export { scale } from "./scales.js";
export { line, placeAxis, seriesAxis, stepAxis } from "./series.js";
export { mean, median, type Point, quantile } from "./statistics.js";
export { colors, type Figure, pageStyle, type Table } from "./style.js";
export {
  figurePng,
  type Landscape,
  type Report,
  raster,
  writeDensity,
  writeLandscape,
  writeReportFiles,
} from "./write.js";
