import { Batch, type ExampleData, loadBatch, loadBatches, type TokenData } from "../../lib/index.js";
import { float32, int64, pack, type RawTensor, raw } from "../models/files.js";
import { each, fileOf, inputs, type Row, targets, type World } from "./world.js";

const tokens = (change: object) =>
  Batch.tokens({ inputIds: [1, 2, 3, 4], labels: [2, 3, 4, 5], shape: [2, 2], ...change } as TokenData);
const examples = (change: object) =>
  Batch.examples({ inputs, targets, shape: [5], ...change } as ExampleData);
const shared = new BigInt64Array(new SharedArrayBuffer(32));

/** Batch.tokens, Batch.examples, batch.rows. */
export const batchRows: Row[] = [
  ...each(
    "rows of a batch",
    [[], [-1, 1], [0, 0], [0, 6], [5, 5], [2, 1], [0.5, 1], ["0", 1], [0, NaN]],
    (given) => examples({}).rows(...(given as [number, number])),
  ),
  ...each("Batch.tokens of", [undefined, null, 3, [], "text"], (data) => Batch.tokens(data)),
  ...each("Batch.examples of", [undefined, null, 3, [], "text"], (data) => Batch.examples(data)),
  ...each(
    "inputIds",
    [
      undefined,
      null,
      "1234",
      {},
      [1, 2, 3],
      [1, 2, 3, 4, 5],
      [],
      new Float32Array(4),
      new DataView(new ArrayBuffer(32)),
    ],
    (inputIds) => tokens({ inputIds }),
  ),
  ...each(
    "an id among inputIds",
    [-1, 1.5, NaN, Infinity, 2 ** 31, "2", null, undefined, 2n, {}, -100],
    (id) => tokens({ inputIds: [1, 2, 3, id] }),
  ),
  ...each("labels", [undefined, [2, 3, 4], new Float64Array(4), [-100, -100, -100, -100]], (labels) =>
    tokens({ labels }),
  ),
  ...each("a label", [-1, -99, 0.5, "3"], (label) => tokens({ labels: [1, 2, 3, label] })),
  ...each(
    "the shape of tokens",
    [undefined, 4, [4], [2, 2, 1], [0, 4], [2, -2], [2.5, 2], [3, 2], [2, NaN], ["2", 2], [2 ** 41, 1], {}],
    (shape) => tokens({ shape }),
  ),
  ["labels that were not shifted", () => tokens({ labels: [1, 2, 3, 4] })],
  ...each("labelsAreShifted", [1, "true", null], (labelsAreShifted) => tokens({ labelsAreShifted })),
  ...each(
    "attentionMask",
    [null, 3, "1111", {}, [1, 1, 1], [1, 1, 2, 1], [1, 0, 1, 1], new Float32Array(4), [0, 0, 0, 0]],
    (attentionMask) => tokens({ attentionMask }),
  ),
  ...each(
    "positionIds",
    [null, 3, "0101", {}, [0, 1, 0], [0, 1, 0, 2], [0, 5, 0, 1], [0.5, 1.5, 0, 1], new Float64Array(4)],
    (positionIds) => tokens({ positionIds }),
  ),
  ["an id of 2⁶² as a BigInt", () => tokens({ inputIds: BigInt64Array.of(1n, 2n, 3n, -(2n ** 62n)) })],
  ["ids in shared memory", () => tokens({ inputIds: shared })],
  [
    "ids in memory that was given away",
    () => {
      const detached = new BigInt64Array(4);
      structuredClone(detached.buffer, { transfer: [detached.buffer] });
      return tokens({ inputIds: detached });
    },
  ],
  ["unsigned 64-bit ids", () => tokens({ inputIds: new BigUint64Array(4) })],
  ...each(
    "inputs",
    [
      undefined,
      "1,2",
      {},
      [],
      new Float32Array(0),
      new Float32Array(7),
      new Int32Array(20),
      [1, 2, 3, 4, NaN],
    ],
    (x) => examples({ inputs: x }),
  ),
  ...each(
    "targets",
    [
      undefined,
      null,
      {},
      [0, 1, 2, 0, 1],
      new Float32Array(0),
      new Float32Array(7),
      new Uint8Array(4),
      new Int32Array(6),
    ],
    (y) => examples({ targets: y }),
  ),
  ...each("class labels", [Int32Array.of(0, 1, -1, 0, 1), Int32Array.of(0, 1, -100, 0, 1)], (y) =>
    examples({ targets: y }),
  ),
  ...each("the shape of examples", [undefined, 5, [], [5, 4], [0], [-5], [2.5], [7], ["5"]], (shape) =>
    examples({ shape }),
  ),
];

const file = (tensors: Record<string, RawTensor>) => (world: World) => fileOf(world, pack(tensors));
const ids = int64([2, 2], [1, 2, 3, 4]);
const x = float32([2, 2], [1, 2, 3, 4]);
const files: [string, (world: World) => string][] = [
  ["without tensors", file({})],
  ["of other tensors", file({ x })],
  ["without labels", file({ input_ids: ids })],
  ["without targets", file({ inputs: x })],
  ["of ids that are no integers", file({ input_ids: x, labels: ids })],
  ["of labels that are no integers", file({ input_ids: ids, labels: x })],
  ["of inputs that are integers", file({ inputs: ids, targets: x })],
  ["of shapes that differ", file({ input_ids: ids, labels: int64([4, 1], [1, 2, 3, 4]) })],
  ["of one axis", file({ input_ids: int64([2], [1, 2]), labels: int64([2], [1, 2]) })],
  ["of four axes", file({ input_ids: int64([1, 1, 1, 1], [1]), labels: int64([1, 1, 1, 1], [1]) })],
  ["of nothing", file({ input_ids: int64([0, 2], []), labels: int64([0, 2], []) })],
  ["with a negative id", file({ input_ids: int64([2, 2], [1, 2, 3, -4]), labels: ids })],
  ["with no label that counts", file({ input_ids: ids, labels: int64([2, 2], [-100, -100, -100, -100]) })],
  ["with a negative class", file({ inputs: x, targets: int64([2], [0, -1]) })],
  ["of labels that were not shifted", file({ input_ids: ids, labels: ids })],
  ["of integers for weights", file({ input_ids: ids, labels: int64([2, 2], [2, 3, 4, 5]), weights: ids })],
  ["of a mask of another shape", file({ input_ids: ids, labels: ids, attention_mask: int64([2], [1, 1]) })],
  ["of a mask of numbers", file({ input_ids: ids, labels: ids, attention_mask: x })],
  [
    "of ids of a dtype without numbers",
    file({ input_ids: raw("F4", [2, 4], new Uint8Array(4)), labels: ids }),
  ],
  ["that is a pointer of Git LFS", (world) => fileOf(world, "version https://git-lfs.github.com/spec/v1\n")],
  ["cut short", (world) => fileOf(world, pack({ input_ids: ids, labels: ids }).subarray(0, -8))],
  ["that is a text", (world) => fileOf(world, "input_ids")],
  ["that is a folder", ({ folder }) => folder],
  ["that is not there", ({ folder }) => `${folder}/nowhere.safetensors`],
];

/** loadBatch, loadBatches. */
export const batchFileRows: Row[] = [
  ...each("loadBatch of", [undefined, null, "", 7, Buffer.from("x")], (f) => loadBatch(f)),
  ...each("loadBatches of", [undefined, {}], (f) => loadBatches(f)),
  ...files.map(([name, make]): Row => [`a batch file ${name}`, async (world) => loadBatch(make(world))]),
  ...files.map(([name, make]): Row => [`a series file ${name}`, async (world) => loadBatches(make(world))]),
  [
    "a series where one batch is asked for",
    async (world) =>
      loadBatch(
        fileOf(
          world,
          pack({ input_ids: int64([2, 1, 2], [1, 2, 3, 4]), labels: int64([2, 1, 2], [1, 2, 3, 4]) }),
        ),
      ),
  ],
];
