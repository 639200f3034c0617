/** Inputs with their targets. */
export interface ExampleSet {
  /** For messages. */
  readonly name: string;
  readonly count: number;
  readonly features: number;
  /** Classes of a classification, outputs of a regression. */
  readonly outputs: number;
  /** Row-major [count, features]. */
  readonly inputs: Float32Array;
  /** Class labels [count], or row-major [count, outputs] of a regression. */
  readonly targets: Uint8Array | Int32Array | Float32Array;
}

/** Rows `from` … `to` − 1, sharing memory. */
export function rows(set: ExampleSet, from: number, to: number): ExampleSet {
  const width = set.targets.length / set.count;
  return {
    ...set,
    count: to - from,
    inputs: set.inputs.subarray(from * set.features, to * set.features),
    targets: set.targets.subarray(from * width, to * width),
  };
}

/** The rows of `order`, copied. */
export function gather(set: ExampleSet, order: ArrayLike<number>): Pick<ExampleSet, "inputs" | "targets"> {
  const { features } = set;
  const width = set.targets.length / set.count;
  const inputs = new Float32Array(order.length * features);
  const targets = new (set.targets.constructor as Float32ArrayConstructor)(
    order.length * width,
  ) as unknown as ExampleSet["targets"];
  for (let i = 0; i < order.length; i++) {
    const row = order[i] as number;
    inputs.set(set.inputs.subarray(row * features, (row + 1) * features), i * features);
    targets.set(set.targets.subarray(row * width, (row + 1) * width), i * width);
  }
  return { inputs, targets };
}
