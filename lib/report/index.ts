export { mean, median, type Point, quantile, valueAt } from "../statistics.js";
export { drawChart, type LegendItem, type Mark } from "./chart.js";
export {
  type CurvatureData,
  type EdgeOfStability,
  edgeOfStability,
  overThresholds,
  type Spread,
} from "./edge-of-stability.js";
export { askedStepFigure, type StepLine } from "./figures/asked-step.js";
export { curvatureFigure, relativeCurvatureFigure } from "./figures/curvature.js";
export { forwardPassesFigure } from "./figures/distributions.js";
export { landscapeFigure } from "./figures/landscape.js";
export { learningRateFigure, lossFigure } from "./figures/loss.js";
export { heatCells, heatMapFigure, type MapValue } from "./figures/map.js";
export {
  edgeMarks,
  edgeRoom,
  errorBars,
  hasArrow,
  unresolvedLegend,
  unresolvedMarks,
} from "./figures/marks.js";
export { type RelativeLoss, relativeLossFigure } from "./figures/relative-loss.js";
export { type ErrorPoint, seriesLossFigure, seriesSharpnessFigure } from "./figures/series-sharpness.js";
export { type SharpnessData, sharpnessFigure } from "./figures/sharpness.js";
export { counted, integerText, numberText, prose } from "./numbers.js";
export {
  type CsvCell,
  csvText,
  document,
  type PageTable,
  page,
  type ReportContent,
  reportBody,
  type Table,
} from "./page.js";
export { scale } from "./scales.js";
export { type AxisLabels, line, namesAxis, placeAxis, seriesAxis, stepAxis } from "./series.js";
export { colors, type Figure, pageStyle, themes } from "./style.js";
export { escapeMarkup } from "./typesetting.js";
export {
  figurePng,
  type Landscape,
  type Report,
  raster,
  writeDensity,
  writeLandscape,
  writeReportFiles,
} from "./write.js";
