import { costs, type PickleReader } from "./reader.js";

type Literal = (from: PickleReader) => unknown;

const container =
  (cost: number, make: () => unknown): Literal =>
  (from) => {
    from.spend(cost);
    return make();
  };
const list = container(costs.list, () => []);

/** Opcodes that push a value which stands beside them, or an empty one. */
export const literals: ReadonlyMap<number, Literal> = new Map<number, Literal>([
  [0x4e, () => null], // NONE
  [0x88, () => true], // NEWTRUE
  [0x89, () => false], // NEWFALSE
  [0x4a, (from) => from.int32()], // BININT
  [0x4b, (from) => from.uint8()], // BININT1
  [0x4d, (from) => from.uint16()], // BININT2
  [0x8a, (from) => from.integer(from.uint8())], // LONG1
  [0x8b, (from) => from.integer(from.uint32())], // LONG4
  [0x47, (from) => from.float64()], // BINFLOAT
  [0x8c, (from) => from.text(from.uint8())], // SHORT_BINUNICODE
  [0x58, (from) => from.text(from.uint32())], // BINUNICODE
  [0x8d, (from) => from.text(from.uint64())], // BINUNICODE8
  [0x55, (from) => from.text(from.uint8(), "latin1")], // SHORT_BINSTRING, of Python 2
  [0x54, (from) => from.text(from.uint32(), "latin1")], // BINSTRING
  [0x43, (from) => from.bytes(from.uint8())], // SHORT_BINBYTES
  [0x42, (from) => from.bytes(from.uint32())], // BINBYTES
  [0x8e, (from) => from.bytes(from.uint64())], // BINBYTES8
  [0x96, (from) => from.bytes(from.uint64())], // BYTEARRAY8
  [0x5d, list], // EMPTY_LIST
  [0x8f, list], // EMPTY_SET
  [0x29, list], // EMPTY_TUPLE
  [0x7d, container(costs.map, () => new Map())], // EMPTY_DICT
]);
