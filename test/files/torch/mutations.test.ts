import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { CriticalSharpnessError } from "../../../lib/errors.js";
import {
  isStoredArray,
  readDistributedCheckpoint,
  readTorchFile,
  storedBytes,
  type TorchValue,
} from "../../../lib/files/index.js";
import { type Member, unzip, zip } from "../../models/programs/archives.js";
import { generator, oneOf, type Random } from "../../random.js";
import { fixture } from "./helpers.js";

// What is changed at random is read or refused, and each tensor that is read lies in its file: never another error, never a wait.
// CRITICAL_SHARPNESS_MUTATIONS=100000 for a long look; a failure names its number, and CRITICAL_SHARPNESS_MUTATION=number tries that one alone.
const count = Number(process.env.CRITICAL_SHARPNESS_MUTATIONS ?? 2000);
const only = process.env.CRITICAL_SHARPNESS_MUTATION;

const folder = mkdtempSync(path.join(tmpdir(), "mutations-"));
afterAll(() => rmSync(folder, { recursive: true }));

const names = readdirSync(fixture("")).filter((name) => name.endsWith(".pt") && name !== "legacy.pt");
const originals = names.map((name) => readFileSync(fixture(name)));
const checkpoint = path.join(folder, "checkpoint");
cpSync(fixture("ranks-2"), checkpoint, { recursive: true });
const parts = readdirSync(checkpoint).map((name) => ({
  file: path.join(checkpoint, name),
  bytes: readFileSync(path.join(checkpoint, name)),
}));

const opcodes = Buffer.from(
  "\x80\x95.(012N\x88\x89JKM\x8a\x8bG\x8cX\x8dUTCB\x8e\x96]\x8f)}\x85\x86\x87t\x91ae\x90suqr\x94hjc\x93QR\x81\x92b",
  "latin1",
);
const words = [
  "csubprocess\nPopen\n",
  "cbuiltins\neval\n",
  "ctorch\nFloatStorage\n",
  "ctorch\nSize\n",
  "ccollections\nOrderedDict\n",
  "X\x09\0\0\0__proto__",
  "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
  "\x8a\x01\xff",
  "h\0h\0\x86q\0",
  "}q\0h\0h\0s",
];
const numbers = [0, 1, 2, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const signatures = ["PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x06\x06", "PK\x06\x07"];

/** A few changes of bytes: of any, or of what a pickle or a zip archive is made of. */
function changedBytes(random: Random, original: Buffer, isPickle: boolean): Buffer {
  let bytes = Buffer.from(original);
  for (let changes = 1 + random(4); changes > 0 && bytes.length > 64; changes--) {
    const at = random(bytes.length - 8);
    const insert = (what: Buffer) => Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)]);
    switch (random(9)) {
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
        bytes = insert(bytes.subarray(random(at + 1), at));
        break;
      case 5:
        if (isPickle) bytes[at] = oneOf(random, [...opcodes]);
        else bytes.copy(bytes, random(bytes.length - 8), at, at + random(64));
        break;
      case 6:
        if (isPickle) bytes = insert(Buffer.from(oneOf(random, words), "latin1"));
        else bytes[at] = oneOf(random, [0, 0xff]);
        break;
      default: {
        // Most numbers of a pickle follow K, M or J; of an archive they are near its signatures.
        const mark = isPickle ? oneOf(random, ["K", "M", "J", "X"]) : oneOf(random, signatures);
        const found = Math.max(bytes.indexOf(mark, random(bytes.length), "latin1"), 0);
        if (isPickle) bytes[Math.min(found + 1, bytes.length - 1)] = oneOf(random, numbers) & 0xff;
        else bytes.writeUInt32LE(oneOf(random, numbers), Math.min(found + random(56), bytes.length - 4));
      }
    }
  }
  return bytes;
}

/** The same archive around a changed pickle, or with a member changed. */
function changedArchive(random: Random, original: Buffer): Buffer {
  const members = unzip(original);
  const pickle = members.find(({ name }) => name.endsWith("/data.pkl")) as Member;
  pickle.bytes = changedBytes(random, pickle.bytes, true);
  if (random(10) === 0) members.splice(random(members.length), 1);
  if (random(10) === 0)
    oneOf(random, members).bytes = Buffer.from(oneOf(random, members).bytes.subarray(0, 40));
  return zip(members, { wide: random(4) === 0 });
}

/** Reads every tensor, by plain recursion. */
async function walk(value: TorchValue): Promise<void> {
  if (isStoredArray(value)) {
    const elements = value.shape.reduce((product, size) => product * size, 1);
    expect(Number.isSafeInteger(elements)).toBe(true);
    for await (const bytes of storedBytes(value)) expect(bytes.length).toBeGreaterThan(0);
  } else if (value instanceof Map) for (const pair of value) for (const one of pair) await walk(one);
  else if (Array.isArray(value)) for (const one of value) await walk(one);
}

const seconds = 5;

it("what is changed at random is read or refused", { timeout: 30_000 + count * 50 }, async () => {
  const outcomes = { read: 0, refused: 0 };
  const first = only === undefined ? 0 : Number(only);
  const file = path.join(folder, "changed.pt");
  for (let i = first; i < (only === undefined ? count : first + 1); i++) {
    const random = generator(i);
    const kind = random(30);
    const part = kind === 0 ? oneOf(random, parts) : undefined;
    let read = () => readTorchFile(file);
    if (part) {
      writeFileSync(part.file, changedBytes(random, part.bytes, part.file.endsWith(".metadata")));
      read = () => readDistributedCheckpoint(checkpoint);
    } else {
      const original = oneOf(random, originals);
      writeFileSync(
        file,
        kind < 10 ? changedBytes(random, original, false) : changedArchive(random, original),
      );
    }
    const start = performance.now();
    try {
      await walk(await read());
      outcomes.read++;
    } catch (error) {
      const isRefusal = error instanceof CriticalSharpnessError && error.code === "ERR_TORCH_FILE";
      if (!isRefusal || !/^Expected .+ but received .+/s.test(error.message))
        throw new Error(`mutation ${i}: ${(error as Error).message}`, { cause: error });
      outcomes.refused++;
    } finally {
      if (part) writeFileSync(part.file, part.bytes);
    }
    if (performance.now() - start > 1000 * seconds) throw new Error(`mutation ${i} took over ${seconds} s`);
  }
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  expect(existsSync("a-pickle-was-executed")).toBe(false);
  if (only === undefined && count >= 1000)
    for (const many of Object.values(outcomes)) expect(many).toBeGreaterThan(count / 20);
  console.log(`of ${count} mutations ${outcomes.read} were read, ${outcomes.refused} refused`);
});
