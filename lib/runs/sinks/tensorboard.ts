import { type FileHandle, mkdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openFile } from "../../files/index.js";
import { runFiles } from "../directory.js";
import type { Kind } from "../kind.js";
import { readRun } from "../run.js";
import type { Sink } from "./sink.js";

/**
 * Event files that TensorBoard opens while they grow, in the run's folder `tensorboard`: the numbers of its records, and at the end
 * its figures. A run that goes on writes what was recorded before once more, so that they always say what the metrics say.
 */
export function tensorBoard(): Sink {
  let open: { file: EventFile; kind: Kind; directory: string } | undefined;
  let last = 0;
  const write = async (event: { type: string }) => {
    const found = open?.kind.scalars(event as never);
    if (!found) return;
    last = found.step;
    await open?.file.scalars(found.step, found.values);
  };
  return {
    async begin({ kind, directory, past }) {
      const folder = path.join(directory, runFiles.tensorboard);
      await rm(folder, { recursive: true, force: true });
      open = { kind, directory, file: await EventFile.create(folder) };
      for await (const event of past()) await write(event);
    },
    receive: write,
    async [Symbol.asyncDispose]() {
      if (!open) return;
      await using file = open.file;
      if (last > 0) for (const [name, png] of await pictures(open)) await file.image(last, name, png);
      open = undefined;
    },
  };
}

/** The figures of a run's report; none where it has nothing to show. */
async function pictures({ kind, directory }: { kind: Kind; directory: string }): Promise<[string, Buffer][]> {
  const content = await readRun(kind, directory)
    .then((run) => kind.report(run))
    .catch(() => undefined);
  if (!content) return [];
  // Loaded when it is needed: what draws is large.
  const { figurePng } = await import("../../report/index.js");
  const drawn: [string, Buffer][] = [];
  for (const figure of content.figures) drawn.push([figure.name, Buffer.from(await figurePng(figure))]);
  return drawn;
}

/**
 * A file that TensorBoard reads while it grows: TFRecords, each an `Event` of TensorFlow's event.proto (of which only what is needed
 * here is written). https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto
 */
export class EventFile implements AsyncDisposable {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** A new file in a folder; what TensorBoard has read of earlier ones of the same run no longer counts. */
  static async create(folder: string): Promise<EventFile> {
    await mkdir(folder, { recursive: true });
    const seconds = Math.floor(Date.now() / 1000);
    // TensorBoard reads files in the order of their names.
    const name = `events.out.tfevents.${seconds}.${os.hostname()}.${process.pid}.${process.hrtime.bigint()}`;
    const events = new EventFile(await openFile(path.join(folder, name), "wx"));
    await events.#append([text(3, "brain.Event:2")]);
    await events.#append([integer(2, 0), message(7, [integer(1, sessionStart)])]);
    return events;
  }

  /** Numbers by their tags, at a step. Those that are not finite are left out. */
  async scalars(step: number, values: Readonly<Record<string, number>>): Promise<void> {
    const known = Object.entries(values).filter(([, value]) => Number.isFinite(value));
    if (known.length === 0) return;
    await this.#append([
      integer(2, step),
      message(
        5,
        known.map(([tag, value]) => message(1, [text(1, tag), float(2, value)])),
      ),
    ]);
  }

  /** A picture, a PNG file, at a step. */
  async image(step: number, tag: string, png: Buffer): Promise<void> {
    const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
    const image = [integer(1, height), integer(2, width), integer(3, rgba), bytes(4, png)];
    await this.#append([integer(2, step), message(5, [message(1, [text(1, tag), message(4, image)])])]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #append(fields: Buffer[]): Promise<void> {
    await this.#file.appendFile(record(Buffer.concat([double(1, Date.now() / 1000), ...fields])));
  }
}

const sessionStart = 1;
const rgba = 4;

/** A TFRecord: its length and its data, each followed by a checksum. */
function record(data: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([head, checksum(head), data, checksum(data)]);
}

/** CRC-32C, rotated and shifted as TFRecords have it. */
function checksum(data: Buffer): Buffer {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crcTable[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  crc = ~crc >>> 0;
  const out = Buffer.alloc(4);
  out.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return out;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

// Fields of protocol buffers: a key, made of the field's number and how its value is written, and the value.

const key = (field: number, type: number) => varint((field << 3) | type);
const integer = (field: number, value: number) => Buffer.concat([key(field, 0), varint(value)]);
const bytes = (field: number, value: Buffer) => Buffer.concat([key(field, 2), varint(value.length), value]);
const text = (field: number, value: string) => bytes(field, Buffer.from(value));
const message = (field: number, fields: Buffer[]) => bytes(field, Buffer.concat(fields));

function double(field: number, value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), out]);
}

function float(field: number, value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeFloatLE(value);
  return Buffer.concat([key(field, 5), out]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  return Buffer.from([...out, rest]);
}
