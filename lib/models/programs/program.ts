import { throwIfAborted } from "../../errors.js";
import type { NativeProgramDescription, NativeReduction, ReadProgram } from "../../torch/index.js";
import { badModelFile } from "../found-tensors.js";
import { openProgram, type ProgramArchive, type StoredTensor } from "./archive.js";
import { kindName, readGraph } from "./graph.js";
import { type Argument, type Program, parse, programSchema, versionSchema } from "./schema.js";
import { Inputs, lossOutputs, Parameters, placeOf } from "./signature.js";

export interface ProgramOptions {
  /** What forward returns. */
  reduction: NativeReduction;
  /** Dropout is off (null), or drawn from this seed. */
  dropoutSeed: number | null;
}

/**
 * Reads what torch.export.save (PyTorch 2.9 to 2.15) has written of a module whose forward returns a loss. Of the tensors no byte is
 * read; whether operators are known and their arguments right is not looked at.
 *
 * @throws CriticalSharpnessError `ERR_MODEL_FILE` that says what of it cannot be run, and what helps; AbortError
 */
export async function readProgram(
  path: string,
  { reduction, dropoutSeed }: ProgramOptions,
  signal?: AbortSignal | undefined,
): Promise<ReadProgram> {
  const archive = await openProgram(path, signal);
  const model = await archive.json("models/model.json");
  const place = `model.json of "${path}"`;
  const { major, minor } = parse(versionSchema, model, "model", place).schema_version;
  if (major !== 8)
    throw badModelFile(
      path,
      "version 8 of the schema, as PyTorch 2.9 to 2.15 write it,",
      `version ${major}.${minor}: export it with one of these`,
    );
  const program = parse(programSchema, model, "model", place);
  throwIfAborted(signal);
  const { parameters, stored, buffers, inputs, feeds, fed } = await readSignature(archive, program);
  const { graph, signature } = program.graph_module;
  const { outputs, perRow } = lossOutputs(path, program, reduction);
  const read = await readGraph(path, { ...graph, outputs }, signal);
  return {
    description: {
      kind: "program",
      dtype: parameters[0]?.dtype ?? "float32",
      parameters: parameters.map(({ name, tensor: { shape, requiresGrad } }) => ({
        name,
        shape,
        trainable: requiresGrad,
      })),
      stored: stored.map(({ dtype, byteOffset, shape, strides }) => ({
        path,
        byteOffset,
        dtype,
        shape,
        strides,
      })),
      inputs: inputs.list,
      symbols: inputs.symbols,
      graph: { ...read, inputs: read.inputs.filter((_, i) => fed[i]) },
      feeds,
      reduction: perRow ? "mean-of-rows" : reduction,
      dropoutSeed,
    },
    weights: parameters.map(({ dtype, tensor: { byteOffset } }) => ({ path, byteOffset, dtype })),
    names: parameters.map(({ names }) => names),
    buffers,
    returnsBuffers: signature.output_specs.some(({ kind }) => kind === "buffer_mutation"),
  };
}

/** What fills the graph's inputs; `fed` is false of those whose value the nodes have. */
async function readSignature(archive: ProgramArchive, program: Program) {
  const { path } = archive;
  const { graph, signature } = program.graph_module;
  const weights = await archive.tensors("weights");
  const constants = await archive.tensors("constants");
  const parameters = new Parameters(path);
  const inputs = new Inputs(path, program);
  const stored = new Map<string, StoredTensor>();
  const places = new Map<string, number>();
  const feeds: NativeProgramDescription["feeds"] = [];
  const buffers: ReadProgram["buffers"] = [];
  const store = (tensor: StoredTensor) => {
    const key = placeOf(tensor);
    if (!places.has(key)) places.set(key, places.size);
    stored.set(key, tensor);
    const index = places.get(key) as number;
    feeds.push({ kind: "stored", index });
    return index;
  };
  if (signature.input_specs.length !== graph.inputs.length)
    throw badModelFile(
      path,
      `a signature of the graph's ${graph.inputs.length} inputs`,
      `one of ${signature.input_specs.length}`,
    );
  for (const [i, spec] of signature.input_specs.entries()) {
    if (spec.kind === "constant_input") continue;
    if (spec.kind === "other")
      throw badModelFile(path, "parameters, buffers, constants and tensors as inputs", `a ${spec.name}`);
    const { arg } = spec.value;
    const name = "name" in arg ? arg.name : tensorName(path, arg);
    const input = graph.inputs[i];
    if (input?.kind !== "as_tensor" || input.value.name !== name)
      throw badModelFile(path, "a signature with the graph's inputs in order", `"${name}" in place ${i}`);
    if (spec.kind === "parameter") {
      const { parameter_name: name } = spec.value;
      feeds.push({ kind: "parameter", index: parameters.add(name, weights(name)) });
    } else if (spec.kind === "user_input") feeds.push({ kind: "input", index: inputs.add(name) });
    else if (spec.kind === "tensor_constant") store(constants(spec.value.tensor_constant_name));
    else {
      // A buffer that is not in the state_dict lies with the constants.
      const { buffer_name: name, persistent } = spec.value;
      const index = store((persistent ? weights : constants)(name));
      if (persistent) buffers.push({ name, stored: index });
    }
  }
  parameters.check([...stored.values()]);
  return {
    parameters: parameters.list,
    stored: [...stored.values()],
    buffers,
    inputs,
    feeds,
    fed: signature.input_specs.map(({ kind }) => kind !== "constant_input"),
  };
}

function tensorName(path: string, argument: Argument): string {
  if (argument.kind === "as_tensor") return argument.value.name;
  throw badModelFile(
    path,
    "tensors as forward's arguments",
    `one of the kind ${kindName(argument)}: pass it as a tensor, or let export fix its value`,
  );
}
