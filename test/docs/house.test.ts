import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { kinds } from "../../lib/optimizers/index.js";

// What CONTRIBUTING's house promises; `npm run lint` finds import circles.
const root = path.resolve(import.meta.dirname, "../../lib");
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.split(path.sep).join("/"));
const textOf = (file: string) => readFileSync(path.join(root, file), "utf8");
/** Of comments only the words that are code count. */
const codeOf = (file: string) => textOf(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");

/** From the top; a room may use those after it. */
const order = [
  "cli",
  "experiments",
  "runs",
  "report",
  "curvature",
  "sharpness",
  "optimizers",
  "models",
  "data",
  "search",
  "files",
  "ranks",
  "torch",
  "options",
];
const roomOf = (file: string) => (file.includes("/") ? (file.split("/")[0] as string) : undefined);
const importsOf = (file: string) =>
  [...textOf(file).matchAll(/from "(\.[^"]+)"|import\("(\.[^"]+)"\)/g)].map((found) =>
    path.posix.normalize(path.posix.join(path.posix.dirname(file), (found[1] ?? found[2]) as string)),
  );

describe("rooms", () => {
  it("are those that there are", () => {
    expect([...new Set(files.flatMap((file) => roomOf(file) ?? []))].toSorted()).toEqual(order.toSorted());
  });

  it("use only what is below them, and enter it by its index", () => {
    const wrong = files.flatMap((file) =>
      importsOf(file).flatMap((target) => {
        const [from, to] = [roomOf(file), roomOf(target)];
        if (from === undefined || to === undefined || from === to) return [];
        const isBelow = order.indexOf(to) > order.indexOf(from);
        // Downloading is a room in a room: what downloads is loaded by those alone that do.
        const isEntrance = target === `${to}/index.js` || target === "torch/download/index.js";
        return isBelow && isEntrance ? [] : [`${file} → ${target}`];
      }),
    );
    expect(wrong).toEqual([]);
  });
});

describe("names", () => {
  const members = {
    optimizers: kinds as readonly string[],
    families: [
      "gpt2",
      "gpt_neox",
      "llama",
      "mistral",
      "smollm3",
      "granite",
      "qwen",
      "olmo",
      "gemma",
      "phi",
      "mixtral",
      "qwen3_moe",
    ],
    experiments: ["train", "checkpoints", "mix", "probes", "check"],
  };
  const named = (room: string, names: readonly string[]) =>
    files
      .filter((file) => file.startsWith(`${room}/`))
      .flatMap((file) =>
        names
          .filter((name) =>
            new RegExp(`["'\`]${name}["'\`/ ]|\\b${name}(Kind|Schema)\\b`, "i").test(codeOf(file)),
          )
          .map((name) => `${file}: ${name}`),
      );

  it.each(["report", "runs"])("of optimizers, families and experiments are none of %s's business", (room) => {
    const found = named(room, [...members.optimizers, ...members.families, ...members.experiments]);
    // The folder where kept checkpoints lie has had its name for longer.
    expect(found.filter((one) => one !== "runs/directory.ts: checkpoints")).toEqual([]);
  });

  it("of optimizers stand in their own room alone", () => {
    const others = order.filter((room) => room !== "optimizers");
    expect(others.flatMap((room) => named(room, members.optimizers))).toEqual([]);
    const classes = others.flatMap((room) =>
      files.filter((file) => file.startsWith(`${room}/`) && /\b(AdamW|Sgd|Lion|Muon)\b/.test(codeOf(file))),
    );
    expect(classes).toEqual([]);
  });

  it("of an experiment stand in its own command alone", () => {
    const own = new Set(members.experiments.map((name) => `cli/commands/${name}.ts: ${name}`));
    const others = named("cli", members.experiments).filter(
      // A mix may be trained too, by a flag of that name.
      (found) => !own.has(found) && found !== "cli/commands/mix.ts: train",
    );
    expect(others).toEqual([]);
  });
});

describe("files", () => {
  it("are no more than they were, and no three share a name", () => {
    const counts = new Map<string, number>();
    for (const file of files) {
      const name = path.posix.basename(file);
      if (name !== "index.ts") counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect([...counts].filter(([, count]) => count > 2)).toEqual([]);
    // An update rule is a file of its own, and what reads a format of PyTorch's a folder of its own.
    const formats = /^(models\/(programs|adapters|contents)|files\/torch|optimizers\/stored)\//;
    const own = files.filter((file) => formats.test(file)).length;
    expect(files.length - own).toBeLessThanOrEqual(273 + kinds.length);
  });
});

it("what benchmarks, examples and scripts take of the compiled modules is there", async () => {
  const checkout = path.dirname(root);
  const scripts = ["bench", "examples", "scripts"].flatMap((folder) =>
    readdirSync(path.join(checkout, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".mjs"))
      .map((file) => path.join(folder, file)),
  );
  const missing: string[] = [];
  for (const script of scripts) {
    const text = readFileSync(path.join(checkout, script), "utf8");
    for (const [, names, module] of text.matchAll(
      /import \{([^}]*)\} from "(?:\.\.\/)+dist\/([^"]+)\.js"/g,
    )) {
      const found = await import(path.join(root, `${module}.ts`)).catch(() => ({}));
      for (const [name] of (names as string).matchAll(/\w+(?: as \w+)?/g))
        if (!((name.split(" ")[0] as string) in found)) missing.push(`${script}: ${name} of ${module}`);
    }
  }
  expect(missing).toEqual([]);
});
