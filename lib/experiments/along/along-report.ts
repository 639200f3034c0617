import path from "node:path";
import {
  type CsvCell,
  csvText,
  type Figure,
  type PageTable,
  prose,
  type RelativeLoss,
  type ReportContent,
  relativeLossFigure,
} from "../../report/index.js";
import {
  type AlongResult,
  type AlongSteps,
  type AlongText,
  type MeasurementRecord,
  measurementRecord,
  type StepEstimate,
} from "../../sharpness/index.js";
import type { MeasuredWay } from "./write-along.js";

type Recorded<T extends AlongSteps> = Omit<T, "measurements"> & { measurements: MeasurementRecord[] };

/** The way to one other model, as it is recorded. */
export interface AlongWay extends Omit<AlongResult, "texts" | "parts"> {
  /** Of the other model. */
  name: string;
  to: string;
  texts: Record<string, Recorded<AlongText>>;
  parts: Record<string, { norm: number; texts: Record<string, Recorded<AlongSteps>> }>;
  /** What was found, in words. */
  sentence: string;
}

/** The ways from one model to others: what along.json has. */
export interface AlongRecord {
  model: string;
  ways: AlongWay[];
}

const recorded = <T extends AlongSteps>(texts: Record<string, T>): Record<string, Recorded<T>> =>
  Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [
      name,
      { ...text, measurements: text.measurements.map((found) => measurementRecord(found, 0)) },
    ]),
  );

export function alongWay({ to, name, result }: MeasuredWay): AlongWay {
  const parts = Object.entries(result.parts).map(([part, { norm, texts }]) => [
    part,
    { norm, texts: recorded(texts) },
  ]);
  return {
    name,
    to,
    ...result,
    texts: recorded(result.texts),
    parts: Object.fromEntries(parts),
    sentence: sentenceOf(name, result),
  };
}

const percent = (allow: number) => `${prose(100 * allow)} %`;
const pick = ({ mean, standardError, status }: StepEstimate, digits = 3): string =>
  status === "resolved"
    ? `${prose(mean, digits)}${standardError === null ? "" : ` ± ${prose(standardError, 2)}`}`
    : status;

/** How far the other model may be gone to, in words: the text that allows least first. */
export function sentenceOf(to: string, { allow, texts }: Pick<AlongResult, "allow" | "texts">): string {
  const order = ["resolved", "unbounded", "unresolved"];
  const steps = Object.entries(texts)
    .map(([name, { allowed }]) => ({ name, ...allowed }))
    .sort(
      (a, b) => order.indexOf(a.status) - order.indexOf(b.status) || (a.mean as number) - (b.mean as number),
    );
  const within = `within ${percent(allow)} of its loss`;
  const clauses = steps.map((step, i) => {
    const { name, status, mean } = step;
    const verb = i === 0 ? `stays ${within}` : "does";
    if (status === "unresolved") return `whether ${name} ${verb} cannot be told from noise`;
    if (status === "unbounded") return `${name} ${verb} at every step that was tried`;
    const whole = (mean as number) >= 1 ? `all of ${to} and more, up to ${pick(step)}` : pick(step);
    return i === 0 && (mean as number) < 1
      ? `up to ${pick(step)} of ${to}, ${name} ${verb}`
      : `${name} ${verb} ${(mean as number) >= 1 ? `for ${whole}` : `up to ${whole}`}`;
  });
  const text = `${clauses.join("; ")}.`;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** η at which the mean loss is lowest. */
function lowest(points: AlongText["points"]) {
  return points.reduce((least, p) => ((p.loss ?? Infinity) < (least.loss ?? Infinity) ? p : least));
}

function textTable({ name, allow, texts }: AlongWay, several: boolean): PageTable {
  return {
    heading: several ? `To ${name}` : "Texts",
    columns: ["text", "L(θ)", "at η = 1", "lowest", "at η", "ηc", `within ${percent(allow)}`],
    rows: Object.entries(texts).map(([text, { baseLoss, points, critical, allowed }]) => {
      const least = lowest(points);
      const other = points.find(({ learningRate }) => learningRate === 1);
      return [
        text,
        ...[prose(baseLoss.mean, 4), prose(other?.loss, 4), prose(least.loss, 4), prose(least.learningRate)],
        pick(critical),
        pick(allowed),
      ];
    }),
  };
}

function partTable({ name, allow, parts, texts, norm, unchanged }: AlongWay, several: boolean): PageTable[] {
  if (Object.keys(parts).length === 0) return [];
  const names = Object.keys(texts);
  return [
    {
      heading: several ? `Parts, to ${name}` : "Parts",
      columns: ["part", "of ‖Δ‖", ...names.flatMap((text) => [`ηc, ${text}`, `within ${percent(allow)}`])],
      rows: [
        ...Object.entries(parts).map(([part, found]) => [
          part,
          `${prose((100 * found.norm) / norm)} %`,
          ...names.flatMap((text) => {
            const steps = found.texts[text] as AlongSteps;
            return [pick(steps.critical), pick(steps.allowed)];
          }),
        ]),
        ...unchanged.map((part) => [part, "0", ...names.flatMap(() => ["–", "–"])]),
      ],
    },
  ];
}

function comparison(ways: readonly AlongWay[]): PageTable[] {
  const [first] = ways;
  if (!first || ways.length < 2) return [];
  const names = Object.keys(first.texts);
  const at = (way: AlongWay, text: string, eta: number) =>
    way.texts[text]?.points.find(({ learningRate }) => learningRate === eta)?.ratio ?? NaN;
  return [
    {
      heading: "Comparison",
      columns: [
        "model",
        "‖Δ‖",
        ...names.flatMap((text) => [`${text}, at η = 1`, `within ${percent(first.allow)}`]),
      ],
      rows: ways.map((way) => [
        way.name,
        prose(way.norm),
        ...names.flatMap((text) => [
          `${prose(100 * (at(way, text, 1) - 1))} %`,
          pick((way.texts[text] as AlongSteps).allowed),
        ]),
      ]),
    },
  ];
}

const finite = ({ status, mean }: StepEstimate) => (status === "resolved" ? (mean ?? NaN) : NaN);

function figureOf({ name, allow, texts, sentence }: AlongWay, model: string, file: string): Figure {
  const losses = Object.entries(texts).map(
    ([text, { points, critical, allowed }]): RelativeLoss => ({
      name: text,
      points: points.map((p) => ({
        x: p.learningRate,
        y: p.ratio ?? NaN,
        error: p.standardError ?? NaN,
      })),
      critical: finite(critical),
      allowed: finite(allowed),
    }),
  );
  return relativeLossFigure({
    name: file,
    title: `From ${path.basename(model)} to ${name}`,
    subtitle: sentence,
    caption:
      `The loss of each text at θ − ηΔ, relative to its loss L(θ): η = 0 is the model, η = 1 is ${name}. Rings are ηc, where a loss ` +
      `rises above where it began; dots are the largest step within the budget of ${percent(allow)}.`,
    losses,
    allow,
  });
}

const csvColumns = [
  ...(["to", "part", "text", "batch", "base_loss", "critical_learning_rate", "critical_status"] as const),
  ...(["allow", "allowed_learning_rate", "allowed_status", "forward_passes"] as const),
];

function* csvRows(ways: readonly AlongWay[]): Iterable<Record<(typeof csvColumns)[number], CsvCell>> {
  for (const { name: to, allow, texts, parts } of ways)
    for (const [part, found] of [
      ["", texts] as const,
      ...Object.entries(parts).map(([p, x]) => [p, x.texts] as const),
    ])
      for (const [text, { measurements }] of Object.entries(found))
        for (const [batch, one] of measurements.entries())
          yield {
            ...{ to, part, text, batch, allow },
            base_loss: one.baseLoss,
            critical_learning_rate: one.criticalLearningRate,
            critical_status: one.status,
            allowed_learning_rate: one.allowed?.learningRate,
            allowed_status: one.allowed?.status,
            forward_passes: one.forwardPasses,
          };
}

/** What the report of the ways to other models shows. */
export function alongReport({ model, ways }: AlongRecord): ReportContent {
  const several = ways.length > 1;
  return {
    title: several ? "How far other models may be gone to" : `How far ${ways[0]?.name} may go`,
    lead: ways.map(({ sentence }) => sentence).join(" "),
    figures: ways.map((way, i) => figureOf(way, model, several ? `along-${i + 1}` : "along")),
    tables: [
      ...comparison(ways),
      ...ways.map((way) => textTable(way, several)),
      ...ways.flatMap((way) => partTable(way, several)),
      { heading: "Models", rows: [["Model", model], ...ways.map(({ name, to }) => [name, to])] },
    ],
    links: [
      { file: "along.json", text: "all numbers, with the loss over η" },
      { file: "along.csv", text: "a line for each batch and part" },
    ],
    csv: csvText(csvColumns, () => csvRows(ways)),
  };
}
