export { type Comparison, writeComparison } from "./comparison.js";
export { writeDensity } from "./density-report.js";
export { type Landscape, writeLandscape } from "./landscape-report.js";
export { type Report, writeReport } from "./write-report.js";
