import path from "node:path";
import {
  directionalSharpness,
  hessianEigenvalues,
  hessianTrace,
  spectralDensity,
} from "../../lib/curvature/index.js";
import {
  AdamW,
  Batch,
  Curvature,
  createModel,
  criticalSharpness,
  Direction,
  type Gradient,
  type Model,
  type Optimizer,
  relativeCriticalSharpness,
  Sgd,
  SharpnessMeter,
} from "../../lib/index.js";
import { temporaryFolder } from "../data/helpers.js";

/** An object with everything that its members may be called with. */
export interface Specimen {
  /** What the members belong to. */
  object: object;
  /** Starts what keeps the object busy for a while. */
  occupy(): Promise<unknown>[];
  /** A call of each public member, by name. */
  members: Record<string | symbol, () => unknown>;
  /** What it needs, disposed of at the end. */
  others: Disposable[];
}

export interface Subject {
  name: string;
  make(): Promise<Specimen>;
  /** Members that need no memory of the object and work when it has none. */
  outlasting: (string | symbol)[];
}

const config = { model_type: "mlp", layer_sizes: [4, 8, 3], activation: "gelu", loss: "mse" } as const;
/** A pass over them, one at a time, takes several milliseconds. */
const rows = 300;
const long = { microBatch: 1 };

interface Parts {
  model: Model;
  batch: Batch;
  gradient: Gradient;
  direction: Direction;
}
async function makeParts(): Promise<Parts> {
  const model = await createModel(config, { seed: 1 });
  const batch = Batch.examples({
    inputs: Float32Array.from({ length: 4 * rows }, (_, i) => Math.sin(i)),
    targets: Float32Array.from({ length: 3 * rows }, (_, i) => Math.cos(i)),
    shape: [rows],
  });
  const gradient = await model.gradient(batch);
  return { model, batch, gradient, direction: gradient.gradient };
}

const folder = temporaryFolder();
let files = 0;
const newFile = () => path.join(folder, `${files++}`);
const disposal = (object: Disposable & { dispose(): void; disposed: boolean }) => ({
  disposed: () => object.disposed,
  dispose: () => object.dispose(),
  [Symbol.dispose]: () => object[Symbol.dispose](),
});
const outlasting = ["disposed", "dispose", Symbol.dispose];

const models: Subject = {
  name: "Model",
  outlasting: [...outlasting, "parameterCount", "trainableCount"],
  async make() {
    const { model, batch, direction } = await makeParts();
    const perturbation = { direction, learningRate: 0.1, mode: "in-place" } as const;
    return {
      object: model,
      occupy: () => [model.loss(batch, { ...long, perturbation })],
      others: [model, batch, direction],
      members: {
        ...disposal(model),
        parameterCount: () => model.parameterCount,
        trainableCount: () => model.trainableCount,
        ranks: () => model.ranks,
        version: () => model.version,
        dtype: () => model.dtype,
        parameterDtype: () => model.parameterDtype,
        device: () => model.device,
        loss: () => model.loss(batch),
        gradient: () => model.gradient(batch),
        step: () => model.step(direction, 0.1),
        copyWeights: () => model.copyWeights(),
        restoreWeights: () => model.restoreWeights(direction),
        expertChanges: () => model.expertChanges(batch, { perturbation }),
        moveBuffers: () => model.moveBuffers(batch),
        digest: () => model.digest(),
        save: () => model.save(newFile()),
      },
    };
  },
};

const curvatures: Subject = {
  name: "Curvature",
  outlasting,
  async make() {
    const { model, batch, direction } = await makeParts();
    const curvature = new Curvature(model, batch);
    return {
      object: curvature,
      occupy: () => [model.loss(batch, long)],
      others: [model, batch, direction, curvature],
      members: {
        ...disposal(curvature),
        product: async () => (await curvature.product(direction)).product,
      },
    };
  },
};

const batches: Subject = {
  name: "Batch",
  outlasting,
  async make() {
    const { model, batch, direction } = await makeParts();
    return {
      object: batch,
      occupy: () => [model.loss(batch, long), model.gradient(batch)],
      others: [model, batch, direction],
      members: {
        ...disposal(batch),
        kind: () => batch.kind,
        shape: () => batch.shape,
        count: () => batch.count,
        rows: () => batch.rows?.(0, 1).count,
      },
    };
  },
};

const directions: Subject = {
  name: "Direction",
  outlasting,
  async make() {
    const { model, batch, direction } = await makeParts();
    const perturbation = { direction, learningRate: 0.1 };
    return {
      object: direction,
      occupy: () => [model.loss(batch, { ...long, perturbation }), direction.norm()],
      others: [model, batch, direction],
      members: {
        ...disposal(direction),
        byteLength: () => direction.byteLength,
        stored: () => direction.stored,
        store: () => direction.store(),
        dot: () => direction.dot(direction),
        norm: () => direction.norm(),
        nonFiniteParameter: () => direction.nonFiniteParameter(),
        scale: () => direction.scale(2),
        multiply: () => direction.multiply(direction),
        inverseSquareRoot: async () => {
          using square = await direction.multiply(direction);
          return square.inverseSquareRoot();
        },
        mask: () => direction.mask("layers.0.bias"),
        save: () => direction.save(newFile()),
      },
    };
  },
};

const optimizers = (name: string, create: (model: Model) => Optimizer): Subject => ({
  name,
  outlasting: [...outlasting, "threshold"],
  async make() {
    const { model, batch, direction } = await makeParts();
    const optimizer = create(model);
    await optimizer.accumulate(direction);
    const state = newFile();
    await optimizer.save(state);
    return {
      object: optimizer,
      occupy: () => [model.loss(batch, long), optimizer.accumulate(direction), optimizer.direction()],
      others: [model, batch, direction, optimizer],
      members: {
        ...disposal(optimizer),
        steps: async () => {
          await optimizer.direction(); // what was asked for before has been done
          return optimizer.steps;
        },
        accumulate: () => optimizer.accumulate(direction),
        accumulateFrom: async () => {
          const { loss, norm, slope, slopes } = await optimizer.accumulateFrom(batch);
          return { loss, norm, slope, slopes };
        },
        direction: () => optimizer.direction(),
        preconditioner: () => optimizer.preconditioner(),
        threshold: () => optimizer.threshold(),
        step: async () => {
          await optimizer.step({ learningRate: 0.01 });
          return model.digest();
        },
        save: () => optimizer.save(newFile()),
        load: () => optimizer.load(state),
      },
    };
  },
});

const meters: Subject = {
  name: "SharpnessMeter",
  outlasting: [],
  async make() {
    const line = await makeParts();
    const meter = new SharpnessMeter({ perturbation: "in-place" });
    await meter.measure(line);
    const state = meter.state();
    return {
      object: meter,
      occupy: () => [meter.measure(line)],
      others: [line.model, line.batch, line.direction],
      members: {
        measure: async () => (await meter.measure(line)).status,
        state: () => meter.state().version,
        restore: () => meter.restore(state),
      },
    };
  },
};

/** Functions that take an object of each kind, on the model that they keep busy. */
const functions: Subject = {
  name: "functions of a Model",
  outlasting: [],
  async make() {
    const line = await makeParts();
    const { model, batch, direction } = line;
    const file = newFile();
    await direction.save(file);
    const evaluate = { a: batch };
    return {
      object: { dispose: () => model.dispose() },
      occupy: () => [model.loss(batch, long)],
      others: [model, batch, direction],
      members: {
        "criticalSharpness, in place": () => criticalSharpness({ ...line, perturbation: "in-place" }),
        criticalSharpness: () => criticalSharpness(line),
        relativeCriticalSharpness: () => relativeCriticalSharpness({ model, direction, evaluate }),
        directionalSharpness: () => directionalSharpness({ model, batch, direction }),
        "directionalSharpness, from forward passes": () =>
          directionalSharpness({ model, batch, direction, method: "central-difference" }),
        hessianEigenvalues: () => hessianEigenvalues({ model, batch, tolerance: 0.1 }),
        hessianTrace: () => hessianTrace({ model, batch, products: 2 }),
        spectralDensity: () => spectralDensity({ model, batch, steps: 2, probes: 1, points: 4 }),
        "Direction.load": () => Direction.load(file, model),
        "Direction.between": () => Direction.between(model, model),
        "Direction.random": () => Direction.random(model, { seed: 1 }),
        "new Sgd": () => new Sgd(model, { learningRate: 1 }).steps,
        "new AdamW": () => new AdamW(model, { learningRate: 1 }).steps,
      },
    };
  },
};

export const subjects = [
  models,
  batches,
  curvatures,
  directions,
  optimizers("Sgd", (model) => new Sgd(model, { learningRate: 0.1, momentum: 0.9, nesterov: true })),
  optimizers("AdamW", (model) => new AdamW(model, { learningRate: 0.1 })),
  meters,
  functions,
];
