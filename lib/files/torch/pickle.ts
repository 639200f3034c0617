import { setImmediate as turn } from "node:timers/promises";
import { throwIfAborted } from "../../errors.js";
import { checkBounds } from "./bounds.js";
import { Global, globalOf } from "./globals.js";
import { literals } from "./literals.js";
import { buildNumpy, NumpyDtype } from "./numpy.js";
import { costs, PickleReader } from "./reader.js";
import { type RecordOf, storageOf } from "./tensors.js";
import { badTorchFile, Instance, isStoredArray, NumpyArray, Opaque, type TorchValue } from "./values.js";

/** Opcodes between two turns of the event loop. */
const opcodesAtATime = 2 ** 16;

/**
 * The value of a pickle of protocol 2 to 5. Data and descriptions alone are made of it, and nothing is called: what its opcodes
 * would call in Python is looked up in a list (`globalOf`), and all else becomes `Opaque`.
 *
 * @param path names it in messages
 * @param recordOf where the bytes of a storage lie, by its key
 * @throws CriticalSharpnessError `ERR_TORCH_FILE`; AbortError
 */
export async function unpickle(
  path: string,
  bytes: Buffer,
  recordOf: RecordOf,
  signal?: AbortSignal | undefined,
): Promise<TorchValue> {
  if (bytes[0] !== 0x80) throw badTorchFile(path, "a pickle of protocol 2 to 5", "other bytes");
  const machine = new PickleMachine(new PickleReader(path, bytes), recordOf);
  while (!machine.run(opcodesAtATime)) {
    await turn();
    throwIfAborted(signal);
  }
  await checkBounds(path, machine.result, signal);
  return machine.result as TorchValue;
}

class PickleMachine {
  readonly #in: PickleReader;
  readonly #recordOf: RecordOf;
  readonly #memo = new Map<number, unknown>();
  readonly #stack: unknown[] = [];
  /** Where on the stack marks stand. */
  readonly #marks: number[] = [];
  result: unknown;

  constructor(reader: PickleReader, recordOf: RecordOf) {
    this.#in = reader;
    this.#recordOf = recordOf;
  }

  #push(value: unknown, cost = 0): void {
    this.#in.spend(costs.slot + cost);
    this.#stack.push(value);
  }

  /** What is below the last mark is not to be taken. */
  #pop(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#in.fail("an empty stack");
    return this.#stack.pop();
  }

  #top(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#in.fail("an empty stack");
    return this.#stack.at(-1);
  }

  #popToMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#in.fail("no mark");
    const taken = this.#stack.splice(mark);
    this.#in.spend(taken.length * costs.slot);
    return taken;
  }

  #tuple(count: number): void {
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.unshift(this.#pop());
    this.#push(items, costs.list + count * costs.slot);
  }

  #put(index: number): void {
    this.#in.spend(costs.entry);
    this.#memo.set(index, this.#top());
  }

  #get(index: number): void {
    if (!this.#memo.has(index)) throw this.#in.fail(`nothing at ${index} of its memo`);
    this.#push(this.#memo.get(index));
  }

  #append(items: readonly unknown[]): void {
    const list = this.#top();
    if (list instanceof Opaque) return;
    if (!Array.isArray(list)) throw this.#in.fail("items of what is no list");
    this.#in.spend(items.length * costs.slot);
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly unknown[]): void {
    const map = this.#top();
    if (items.length % 2 !== 0) throw this.#in.fail("a key without a value");
    if (map instanceof Opaque) return;
    if (!(map instanceof Map)) throw this.#in.fail("items of what is no dictionary");
    this.#in.spend((items.length / 2) * costs.entry);
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
  }

  #global(module: unknown, name: unknown): void {
    if (typeof module !== "string" || typeof name !== "string") throw this.#in.fail("a name that is no text");
    this.#push(globalOf(this.#in.path, module, name), costs.object + module.length + name.length);
  }

  /** REDUCE and NEWOBJ: what Python would call. */
  #call(args: unknown): void {
    const callee = this.#pop();
    if (!Array.isArray(args)) throw this.#in.fail("arguments that are no tuple");
    if (callee instanceof Global && callee.make)
      this.#push(callee.make(args, this.#in) ?? new Opaque(callee.opaque), costs.object);
    else if (callee instanceof Opaque) this.#push(new Opaque(callee.opaque), costs.object);
    else throw this.#in.fail("a call of what is no function");
  }

  #build(state: unknown): void {
    const target = this.#top();
    if (target instanceof Instance)
      target.fields = state instanceof Map ? state : new Map([["state", state]]);
    else if (target instanceof NumpyDtype || target instanceof NumpyArray)
      buildNumpy(target, state, this.#in);
    else if (!(target instanceof Opaque || target instanceof Map || isStoredArray(target)))
      throw this.#in.fail("a state of what has none");
  }

  /** @returns whether it has come to its end */
  run(opcodes: number): boolean {
    for (let i = 0; i < opcodes; i++) if (this.#step(this.#in.uint8())) return true;
    return false;
  }

  #step(opcode: number): boolean {
    const from = this.#in;
    const literal = literals.get(opcode);
    if (literal) {
      this.#push(literal(from));
      return false;
    }
    switch (opcode) {
      case 0x80: {
        // PROTO
        const version = from.uint8();
        if (version < 2 || version > 5) throw from.fail(`protocol ${version}, where 2 to 5 are read`);
        break;
      }
      case 0x95: // FRAME
        from.take(8);
        break;
      case 0x2e: // STOP
        this.result = this.#pop();
        if (this.#marks.length > 0 || this.#stack.length > 0) throw from.fail("an end with values left over");
        return true;
      case 0x28: // MARK
        from.spend(costs.slot);
        this.#marks.push(this.#stack.length);
        break;
      case 0x30: // POP
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.#pop();
        break;
      case 0x31: // POP_MARK
        this.#popToMark();
        break;
      case 0x32: // DUP
        this.#push(this.#top());
        break;
      case 0x85: // TUPLE1
        this.#tuple(1);
        break;
      case 0x86: // TUPLE2
        this.#tuple(2);
        break;
      case 0x87: // TUPLE3
        this.#tuple(3);
        break;
      case 0x74: // TUPLE
      case 0x91: // FROZENSET
        this.#push(this.#popToMark(), costs.list);
        break;
      case 0x61: // APPEND
        this.#append([this.#pop()]);
        break;
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        this.#append(this.#popToMark());
        break;
      case 0x73: {
        // SETITEM
        const value = this.#pop();
        this.#setItems([this.#pop(), value]);
        break;
      }
      case 0x75: // SETITEMS
        this.#setItems(this.#popToMark());
        break;
      case 0x71: // BINPUT
        this.#put(from.uint8());
        break;
      case 0x72: // LONG_BINPUT
        this.#put(from.uint32());
        break;
      case 0x94: // MEMOIZE
        this.#put(this.#memo.size);
        break;
      case 0x68: // BINGET
        this.#get(from.uint8());
        break;
      case 0x6a: // LONG_BINGET
        this.#get(from.uint32());
        break;
      case 0x63: // GLOBAL
        this.#global(from.line(), from.line());
        break;
      case 0x93: {
        // STACK_GLOBAL
        const name = this.#pop();
        this.#global(this.#pop(), name);
        break;
      }
      case 0x51: // BINPERSID
        this.#push(storageOf(this.#pop(), from, this.#recordOf), costs.object);
        break;
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        this.#call(this.#pop());
        break;
      case 0x92: // NEWOBJ_EX, whose last argument has names
        this.#pop();
        this.#call(this.#pop());
        break;
      case 0x62: // BUILD
        this.#build(this.#pop());
        break;
      default:
        throw from.fail(`the opcode 0x${opcode.toString(16)}`);
    }
    return false;
  }
}
