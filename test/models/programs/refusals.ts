import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CriticalSharpnessError } from "../../../lib/errors.js";
import { type ProgramOptions, readProgram } from "../../../lib/models/programs/program.js";
import { type Edits, edited, type Json, type Member } from "./archives.js";

export const folder = mkdtempSync(path.join(tmpdir(), "programs-"));
afterAll(() => rmSync(folder, { recursive: true }));

export const options: ProgramOptions = { reduction: "loss", dropoutSeed: null };

let count = 0;
export function write(bytes: Buffer): string {
  const file = path.join(folder, `${count++}.pt2`);
  writeFileSync(file, bytes);
  return file;
}

export async function refusal(bytes: Buffer, given: Partial<ProgramOptions> = {}): Promise<string> {
  const file = write(bytes);
  const error = await readProgram(file, { ...options, ...given }).then(
    () => "read it",
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CriticalSharpnessError);
  expect((error as CriticalSharpnessError).code).toBe("ERR_MODEL_FILE");
  const { message } = error as CriticalSharpnessError;
  expect(message).toMatch(/^Expected .+ but received .+/s);
  expect(message).toContain(file);
  expect(message.length).toBeLessThan(600 + 2 * file.length);
  return message;
}

export type Refusals = [what: string, edits: Edits & { of?: string }, message: RegExp][];
export const graphOf = (model: Json) => model.graph_module.graph;
export const nodeOf = (model: Json, i = 0) => graphOf(model).nodes[i];
export const specsOf = (model: Json) => model.graph_module.signature;
export const first = (config: Json) => Object.values(config)[0] as Json;
export const meta = (change: (tensor: Json) => void) => ({
  weights: (config: Json) => change(first(config).tensor_meta),
});
export const inputMeta = (change: (tensor: Json) => void) => ({
  model: (model: Json) => change(graphOf(model).tensor_values.inputs),
});
export const argument = (arg: Json) => ({
  model: (model: Json) => {
    nodeOf(model).inputs[0].arg = arg;
  },
});
export const member = (ending: string, change: (member: Member) => void) => ({
  members: (members: Member[]) => {
    change(members.find((one) => one.name.endsWith(ending)) as Member);
    return members;
  },
});

/** Files that are edited, of a fixture, and what their refusal says. */
export function describeRefusals(refusals: Record<string, Refusals>): void {
  describe.each(Object.entries(refusals))("%s", (_, list) => {
    it.each(list)("are refused: %s", async (_what, { of = "mlp", ...edits }, message) => {
      expect(await refusal(edited(of, edits))).toMatch(message);
    });
  });
}
