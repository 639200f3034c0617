import { describe, expect, it } from "vitest";
import { native } from "../../lib/torch/load.js";
import { addon, expectAllRejected, expectRejected, noHandle, type Wrong } from "./misuse.js";
import { initialized } from "./support.js";

const n = addon();

describe("batch data", () => {
  const ids = () => new BigInt64Array([1n, 2n, 3n, 4n]);
  const shared = new BigInt64Array(new SharedArrayBuffer(32));
  const detached = ids();
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const wrongArrays: Wrong[] = [
    ...noHandle,
    [1n, 2n, 3n, 4n],
    new Float32Array(4),
    new BigUint64Array(4),
    new Uint8Array(32),
    new DataView(new ArrayBuffer(32)),
    new ArrayBuffer(32),
    new BigInt64Array(3),
    new BigInt64Array(0),
    shared,
    detached,
    Object.create(BigInt64Array.prototype),
    new Proxy(ids(), {}),
  ];

  it("are typed arrays with as many numbers as the shape says, not shared, not detached", async () => {
    await expectAllRejected(wrongArrays, (array) => n.createTokenBatch(array, ids(), [2, 2], false));
    await expectAllRejected(wrongArrays, (array) => n.createTokenBatch(ids(), array, [2, 2], false));
    const noFloats = wrongArrays.filter((array) => !(array instanceof Float32Array));
    await expectAllRejected([...noFloats, ids()], (array) =>
      n.createExampleBatch(array, [2, 2], new Float32Array(2), [2, 1]),
    );
    await expectAllRejected(noFloats, (array) =>
      n.createExampleBatch(new Float32Array(4), [2, 2], array, [2, 2]),
    );
  });

  it("have a shape", async () => {
    const shapes = [
      ...noHandle,
      [4],
      [4, 1, 1],
      [0, 4],
      [-2, -2],
      [2 ** 32, 2 ** 32],
      [1.5, 2],
      [NaN, 4],
      ["2", 2],
    ];
    await expectAllRejected([...shapes, [4, 2], new Array(2 ** 32 - 1)], (shape) =>
      n.createTokenBatch(ids(), ids(), shape, false),
    );
    await expectAllRejected(shapes, (shape) =>
      n.createExampleBatch(new Float32Array(4), shape, new Float32Array(4), [4, 1]),
    );
    await expectAllRejected([...noHandle, [], [3], [2, 2, 1], [0]], (shape) =>
      n.createExampleBatch(new Float32Array(4), [2, 2], new Float32Array(4), shape),
    );
  });

  it("have ids ≥ 0 and labels that count", async () => {
    const labels = [
      [-1n, 0n],
      [-100n, -100n],
      [-(2n ** 63n), 1n],
    ].map((l) => new BigInt64Array(l));
    await expectAllRejected(labels, (l) => n.createTokenBatch(new BigInt64Array(2), l, [1, 2], false));
    await expectRejected("an id", () =>
      n.createTokenBatch(new BigInt64Array([-5n]), new BigInt64Array(1), [1, 1], false),
    );
    await expectRejected("a class", () =>
      n.createExampleBatch(new Float32Array(1), [1, 1], new BigInt64Array([-1n]), [1]),
    );
  });

  it("are copied, and may be changed in the middle of the call", async () => {
    const model = await initialized();
    const inputs = new Float32Array(20).fill(1);
    const copy = native().createExampleBatch(inputs, [5, 4], new BigInt64Array(5), [5]);
    const before = await model.loss(copy, null, { microBatch: 0 });
    inputs.fill(NaN);
    expect(await model.loss(copy, null, { microBatch: 0 })).toEqual(before);
    const buffer = new (ArrayBuffer as Wrong)(32, { maxByteLength: 64 });
    const array = new BigInt64Array(buffer);
    const shape = Object.defineProperty([2, 2], 0, {
      get() {
        buffer.resize(8);
        return 2;
      },
    });
    await expectRejected("shrunk", () => n.createTokenBatch(array, ids(), shape, false));
    copy.dispose();
    model.dispose();
  });
});
