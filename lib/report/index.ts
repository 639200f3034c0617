export { type Report, writeReport } from "./write-report.js";
