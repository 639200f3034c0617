import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { CriticalSharpnessError } from "../../../lib/errors.js";
import { loadBatch, loadModel } from "../../../lib/models/index.js";
import { type ProgramOptions, readProgram } from "../../../lib/models/programs/program.js";
import { nativeErrorCode } from "../../../lib/torch/errors.js";
import { generator, oneOf, type Random } from "../../random.js";
import { fixture, type Json, type Member, unzip, zip } from "./archives.js";

// What is changed at random is read or refused, and what is read is run or refused: never another error, never a wait. CRITICAL_SHARPNESS_MUTATIONS=100000 for a long look;
// a failure names its number, and CRITICAL_SHARPNESS_MUTATION=number tries that one alone.
const count = Number(process.env.CRITICAL_SHARPNESS_MUTATIONS ?? 3000);
const only = process.env.CRITICAL_SHARPNESS_MUTATION;

const folder = mkdtempSync(path.join(tmpdir(), "mutations-"));
afterAll(() => rmSync(folder, { recursive: true }));

// One of each kind of graph: small ones, so that a change meets something that matters.
const originals = [
  "mlp",
  "options",
  "cond",
  "tied",
  "gcn",
  "cnn-decomposed",
  "sum-and-weight",
  "lstm-dropout",
].map((name) => ({ name, bytes: readFileSync(fixture(name)) }));

const numbers = [0, 1, 2, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const signatures = ["PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x06\x06", "PK\x06\x07"];

/** A few changes of bytes, most of them where an archive has its numbers. */
function changedBytes(random: Random, original: Buffer): Buffer {
  let bytes = Buffer.from(original);
  for (let changes = 1 + random(4); changes > 0 && bytes.length > 64; changes--) {
    const at = random(bytes.length - 32);
    switch (random(8)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        bytes[at] = (bytes[at] as number) ^ (1 << random(8));
        break;
      case 2:
        bytes = bytes.subarray(0, random(bytes.length));
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random(9))]);
        break;
      case 4:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          bytes.subarray(random(at + 1), at),
          bytes.subarray(at),
        ]);
        break;
      case 5:
        bytes.copy(bytes, random(bytes.length - 32), at, at + random(64));
        break;
      default: {
        const found = bytes.indexOf(oneOf(random, signatures), random(bytes.length), "latin1");
        const place = Math.min(Math.max(found, 0) + random(56), bytes.length - 4);
        bytes.writeUInt32LE(oneOf(random, numbers), place);
      }
    }
  }
  return bytes;
}

const strange: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => false,
  () => 0,
  () => -1,
  () => 3,
  () => 13,
  () => 0.5,
  () => 1e308,
  () => 2 ** 53,
  () => 2 ** 63,
  () => -(2 ** 63),
  () => 1e12,
  () => "",
  () => "Infinity",
  () => "NaN",
  () => "__proto__",
  () => "constructor",
  () => "inputs",
  () => "../../etc/passwd",
  () => "Symbol('s24', positive=True, integer=True)",
  () => "\u0000\ud800",
  () => [],
  () => [[]],
  () => ({}),
  () => ({ as_none: true }),
  () => ({ as_tensor: { name: "inputs" } }),
  () => ({ as_sym_int: { as_name: "sym_size_int" } }),
  () => ({ as_int: 2 ** 63 }),
];
const kinds =
  "none tensor tensors int ints float floats string strings sym_int sym_ints scalar_type memory_format layout device bool bools sym_bool graph optional_tensors custom_obj operator sym_float optional_tensor complex";

/** All objects and lists within a value. */
function within(value: unknown, found: Json[] = []): Json[] {
  if (typeof value !== "object" || value === null) return found;
  found.push(value);
  for (const one of Object.values(value)) within(one, found);
  return found;
}

/** A few changes of JSON's structure. */
function changeJson(random: Random, json: Json): Json {
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const places = within(json);
    if (places.length === 0) return json;
    const place = oneOf(random, places);
    const keys = Object.keys(place);
    const key = oneOf(random, keys) ?? "name";
    switch (random(8)) {
      case 0:
        if (Array.isArray(place)) place.splice(random(place.length + 1), 1);
        else delete place[key];
        break;
      case 1:
        if (Array.isArray(place))
          place.splice(random(place.length + 1), 0, structuredClone(place[key as never]));
        else place[oneOf(random, strange)() as string] = place[key];
        break;
      case 2: {
        const other = oneOf(random, places);
        place[key] = structuredClone(oneOf(random, Object.values(other)));
        break;
      }
      case 3:
        if (Array.isArray(place)) place.reverse();
        else {
          place[`as_${oneOf(random, kinds.split(" "))}`] = place[key];
          delete place[key];
        }
        break;
      case 4: {
        // Deeper than any program.
        let deep: unknown = place[key];
        for (let i = random(2) * 400; i > 0; i--) deep = i % 2 === 0 ? [deep] : { as_graph: { graph: deep } };
        if (random(20) === 0) place[key] = deep;
        break;
      }
      default:
        place[key] = oneOf(random, strange)();
    }
  }
  return json;
}

function changedArchive(random: Random, original: Buffer): Buffer {
  const members = unzip(original);
  const json = members.filter((one) => one.name.endsWith(".json"));
  const member = random(3) > 0 ? json.find((one) => one.name.endsWith("model.json")) : oneOf(random, json);
  const { bytes } = member as Member;
  if (random(10) === 0) (member as Member).bytes = changedBytes(random, bytes);
  else {
    const changed = JSON.stringify(changeJson(random, JSON.parse(bytes.toString())));
    (member as Member).bytes = Buffer.from(changed ?? "");
  }
  if (random(8) === 0) members.splice(random(members.length), 1);
  if (random(8) === 0) oneOf(random, members).bytes = oneOf(random, members).bytes;
  if (random(8) === 0) oneOf(random, members).name = oneOf(random, members).name;
  return zip(members, { wide: random(4) === 0 });
}

/** Runs what was read, of a file that nobody writes to meanwhile: its weights are mapped. @returns whether it was refused */
async function run(file: string, name: string, reduction: ProgramOptions["reduction"]): Promise<boolean> {
  try {
    using model = await loadModel(file, { reduction, parameterDtype: "float32" });
    using batch = await loadBatch(fixture(name).replace(/pt2$/, "safetensors"), { named: true });
    await model.loss(batch);
    (await model.gradient(batch)).gradient.dispose();
    return false;
  } catch (error) {
    const code = nativeErrorCode(error) ?? (error as { code?: unknown }).code;
    if (typeof code !== "string" || code === "ERR_NATIVE") throw error;
    return true;
  }
}

const reductions = ["loss", "mean-of-rows", "sum-and-weight"] as const;
const seconds = 5;

it("what is changed at random is read or refused", { timeout: 30_000 + count * 50 }, async () => {
  const outcomes = { ran: 0, "were refused when run": 0, "were refused when read": 0 };
  for (
    let i = only === undefined ? 0 : Number(only);
    i < (only === undefined ? count : Number(only) + 1);
    i++
  ) {
    const random = generator(i);
    const file = path.join(folder, `program-${i}.pt2`);
    const { name, bytes } = oneOf(random, originals);
    const change = random(2) === 0 ? changedBytes : changedArchive;
    writeFileSync(file, change(random, bytes));
    const reduction: ProgramOptions["reduction"] =
      name === "sum-and-weight" ? name : random(8) === 0 ? oneOf(random, reductions) : "loss";
    const start = performance.now();
    try {
      const { description, weights } = await readProgram(file, { reduction, dropoutSeed: null });
      expect(weights.length).toBe(description.parameters.length);
      expect(description.feeds.length).toBe(description.graph.inputs.length);
      try {
        outcomes[(await run(file, name, reduction)) ? "were refused when run" : "ran"]++;
      } catch (error) {
        throw new Error(`mutation ${i} of ${name}, when run: ${(error as Error).message}`, { cause: error });
      }
    } catch (error) {
      if ((error as Error).message.includes("when run")) throw error;
      if (!(error instanceof CriticalSharpnessError) || error.code !== "ERR_MODEL_FILE")
        throw new Error(`mutation ${i} of ${name}`, { cause: error });
      if (!/^Expected .+ but received /s.test(error.message))
        throw new Error(`mutation ${i}: ${error.message}`);
      outcomes["were refused when read"]++;
    } finally {
      rmSync(file, { force: true });
    }
    if (performance.now() - start > 1000 * seconds) throw new Error(`mutation ${i} took over ${seconds} s`);
  }
  if (only === undefined && count >= 1000)
    for (const what of ["ran", "were refused when read"] as const)
      expect(outcomes[what]).toBeGreaterThan(count / 20);
  console.log(
    `of ${count} mutations ${Object.entries(outcomes)
      .map(([what, many]) => `${many} ${what}`)
      .join(", ")}`,
  );
});
