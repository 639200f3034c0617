import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { Batch, createModel, type Model, type TokenData } from "../../lib/index.js";
import { areUnshifted, placeRows } from "../../lib/models/token-rows.js";
import { badArgument, gpt } from "./files.js";

const ids32 = (numbers: readonly number[]) => Int32Array.from(numbers);
const rowsOf = (inputIds: number[], labels: number[], shape: [number, number]) => ({
  inputIds: ids32(inputIds),
  labels: ids32(labels),
  shape,
});
const llama = {
  model_type: "llama" as const,
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
};

describe("labels that were not shifted", () => {
  const unshifted = (inputIds: number[], labels: number[], shape: [number, number]) =>
    areUnshifted(rowsOf(inputIds, labels, shape));

  test("are told from those that were", () => {
    expect(unshifted([1, 2, 3, 4], [1, 2, 3, 4], [1, 4])).toBe(true);
    expect(unshifted([1, 2, 3, 4], [-100, -100, 3, 4], [1, 4])).toBe(true);
    expect(unshifted([1, 2, 0, 3, 4, 5], [1, 2, -100, 3, 4, 5], [2, 3])).toBe(true);
    expect(unshifted([1, 2, 3, 4], [2, 3, 4, 5], [1, 4])).toBe(false);
    expect(unshifted([1, 2, 3, 4], [2, 3, 4, -100], [1, 4])).toBe(false);
    // One of them is another: a task, or data that were changed.
    expect(unshifted([1, 2, 3, 4], [1, 2, 3, 5], [1, 4])).toBe(false);
  });

  test("are not seen where a token is followed by itself", () => {
    expect(unshifted([7, 7, 7], [7, 7, 7], [1, 3])).toBe(false);
    expect(unshifted([7, 7, 7, 2, 2, 2], [7, 7, 7, 2, 2, 2], [2, 3])).toBe(false);
    expect(unshifted([7, 7, 3], [7, -100, -100], [1, 3])).toBe(false);
    // Padding follows the last label of a row.
    expect(unshifted([7, 7, 3], [7, 7, -100], [1, 3])).toBe(false);
    expect(unshifted([5], [5], [1, 1])).toBe(false);
    expect(unshifted([5, 6], [5, 6], [2, 1])).toBe(false);
  });

  test("are seen where answers of one token end the rows", () => {
    expect(unshifted([1, 5, 2, 6], [-100, 5, -100, 6], [2, 2])).toBe(true);
    expect(unshifted([1, 5], [-100, 5], [1, 2])).toBe(false);
  });

  test("never in what follows, whatever the tokens", () => {
    const rows = fc.array(fc.array(fc.nat(2), { minLength: 5, maxLength: 5 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(rows, (sequences) => {
        const ids = sequences.flatMap((s) => s.slice(0, -1));
        const labels = sequences.flatMap((s) => s.slice(1));
        return !unshifted(ids, labels, [sequences.length, 4]);
      }),
    );
  });

  test("are an error with the line that shifts them, unless they are meant", () => {
    const data = { inputIds: [1, 2, 3, 4], labels: [1, 2, 3, 4], shape: [1, 4] as const };
    expect(() => Batch.tokens(data)).toThrow(badArgument);
    expect(() => Batch.tokens(data)).toThrow("torch.nn.functional.pad(labels, (0, 1), value=-100)[..., 1:]");
    expect(Batch.tokens({ ...data, labelsAreShifted: true }).count).toBe(4);
    for (const wrong of [1, "yes", null])
      expect(() => Batch.tokens({ ...data, labelsAreShifted: wrong as never })).toThrow(badArgument);
  });
});

describe("padded and packed rows", () => {
  const ids = [9, 9, 1, 2, 3, 4, 5, 9, 9, 9];
  const labels = [-100, -100, 2, 3, 4, 5, 6, -100, -100, -100];
  const mask = [0, 0, 1, 1, 1, 1, 1, 0, 0, 0];

  test("start at their first place", () => {
    const rows = rowsOf(ids, labels, [2, 5]);
    const placed = placeRows(rows, { attentionMask: ids32(mask) });
    expect(placed).toEqual({
      ...rowsOf([1, 2, 3, 4, 5, 0], [2, 3, 4, 5, 6, -100], [2, 3]),
      relativePositions: true,
    });
    const positionIds = ids32([0, 0, 0, 1, 2, 0, 1, 1, 1, 1]);
    expect(placeRows(rows, { attentionMask: ids32(mask), positionIds }).relativePositions).toBe(false);
  });

  test("are as they were where padding is on the right", () => {
    const rows = rowsOf([1, 2, 9, 3, 4, 5], [2, 3, -100, 4, 5, 6], [2, 3]);
    for (const placement of [{}, { attentionMask: ids32([1, 1, 0, 1, 1, 1]) }])
      expect(placeRows(rows, placement)).toEqual({ ...rows, relativePositions: false });
    const positionIds = ids32([0, 1, 2, 0, 1, 2]);
    expect(placeRows(rows, { positionIds })).toEqual({ ...rows, relativePositions: false });
  });

  test("fall into sequences where positions start again; those without a label that counts are left out", () => {
    const rows = rowsOf([1, 2, 3, 4, 5, 6, 7, 8], [2, 3, 9, 5, 9, -100, -100, -100], [1, 8]);
    const placed = placeRows(rows, { positionIds: ids32([0, 1, 2, 0, 1, 2, 0, 1]) });
    expect(placed).toEqual({
      ...rowsOf([1, 2, 3, 4, 5, 0], [2, 3, 9, 5, 9, -100], [2, 3]),
      relativePositions: false,
    });
    const later = placeRows(rows, { positionIds: ids32([4, 5, 6, 0, 1, 2, 0, 1]) });
    expect(later.relativePositions).toBe(true);
  });

  test("are refused where mask and positions say more", () => {
    const tokens = (change: object) => () =>
      Batch.tokens({ inputIds: ids, labels, attentionMask: mask, shape: [2, 5], ...change } as TokenData);
    const wrong: [object, string][] = [
      [{ attentionMask: mask.with(3, 0) }, "-100 where attentionMask is 0"],
      [{ attentionMask: mask.with(3, 2) }, "0 or 1"],
      [{ attentionMask: mask.with(3, 0), labels: labels.with(3, -100) }, "not within"],
      [{ attentionMask: [1] }, "10 integers"],
      [{ attentionMask: new Float32Array(10) }, "data.attentionMask"],
      [{ positionIds: [0, 0, 0, 1, 3, 0, 1, 1, 1, 1] }, "data.positionIds[0, 4]"],
      [{ positionIds: [0, 0, 0, 1, 0, 0, 1, 1, 1, 1] }, "leave attentionMask out"],
      [{ positionIds: "0123" }, "data.positionIds"],
      [{ attentionMask: undefined, positionIds: [1, 1, 0, 1, 2, 0, 1, 1, 1, 1] }, "give attentionMask too"],
    ];
    for (const [change, part] of wrong) {
      expect(tokens(change), part).toThrow(badArgument);
      expect(tokens(change)).toThrow(part);
    }
  });

  test("without positions are refused by a model whose positions are learned, with what to do", async () => {
    const batch = Batch.tokens({ inputIds: ids, labels, attentionMask: mask, shape: [2, 5] });
    const language = await createModel(gpt);
    await expect(language.loss(batch)).rejects.toEqual(badArgument);
    await expect(language.gradient(batch)).rejects.toThrow("(attention_mask.cumsum(-1) - 1).clamp(min=0)");
    const rotary = await createModel(llama);
    expect(Number.isFinite(await rotary.loss(batch))).toBe(true);
  });
});

describe("the loss of random rows", () => {
  let models: Model[];
  beforeAll(async () => {
    models = [
      await createModel({ ...gpt, n_positions: 12 }, { dtype: "float64", seed: 3 }),
      await createModel(llama, { dtype: "float64", seed: 3 }),
    ];
  });

  test("is that of its sequences, each alone", async () => {
    const sequence = fc.array(fc.nat(10), { minLength: 2, maxLength: 6 });
    const property = fc.asyncProperty(
      fc.array(fc.tuple(sequence, fc.nat(4)), { minLength: 1, maxLength: 4 }),
      async (pieces) => {
        const width = 10;
        const padded = { inputIds: [], labels: [], attentionMask: [], positionIds: [] } as Record<
          string,
          number[]
        >;
        for (const [piece, before] of pieces)
          for (let t = 0; t < width; t++) {
            const at = t - before;
            const inside = at >= 0 && at < piece.length - 1;
            padded.inputIds?.push(inside ? (piece[at] as number) : 10);
            padded.labels?.push(inside ? (piece[at + 1] as number) : -100);
            padded.attentionMask?.push(inside ? 1 : 0);
            padded.positionIds?.push(inside ? at : 1);
          }
        const packed = {
          inputIds: pieces.flatMap(([piece]) => piece.slice(0, -1)),
          labels: pieces.flatMap(([piece]) => piece.slice(1)),
          positionIds: pieces.flatMap(([piece]) => piece.slice(1).map((_, i) => i)),
        };
        const batches = [
          Batch.tokens({ ...padded, shape: [pieces.length, width] } as never),
          Batch.tokens({ ...packed, shape: [1, packed.labels.length] }),
        ];
        for (const model of models) {
          let sum = 0;
          for (const [piece] of pieces) {
            const n = piece.length - 1;
            using alone = Batch.tokens({
              inputIds: piece.slice(0, -1),
              labels: piece.slice(1),
              shape: [1, n],
            });
            sum += n * (await model.loss(alone));
          }
          const mean = sum / packed.labels.length;
          for (const batch of batches) {
            expect(batch.count).toBe(packed.labels.length);
            expect(Math.abs((await model.loss(batch)) / mean - 1)).toBeLessThan(1e-13);
          }
        }
        for (const batch of batches) batch.dispose();
      },
    );
    await fc.assert(property, { numRuns: 25, seed: 1 });
  });
});
