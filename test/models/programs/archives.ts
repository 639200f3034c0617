import { readFileSync } from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";

const fixtures = path.join(import.meta.dirname, "fixtures");
export const fixture = (name: string): string => path.join(fixtures, `${name}.pt2`);

/** A member as a zip archive has it, sound or not. */
export interface Member {
  name: string;
  bytes: Buffer;
  method?: number;
  flags?: number;
  /** What the central directory says instead of what is so. */
  claims?: { size?: number; offset?: number };
}

/** The members of a sound archive without compression. */
export function unzip(archive: Buffer): Member[] {
  const end = archive.lastIndexOf("PK\x05\x06", undefined, "latin1");
  const members: Member[] = [];
  for (let at = archive.readUInt32LE(end + 16), i = archive.readUInt16LE(end + 10); i > 0; i--) {
    const [name, extra, comment] = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset)) as [
      number,
      number,
      number,
    ];
    const local = archive.readUInt32LE(at + 42);
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    members.push({
      name: archive.toString("utf8", at + 46, at + 46 + name),
      bytes: archive.subarray(start, start + archive.readUInt32LE(at + 24)),
    });
    at += 46 + name + extra + comment;
  }
  return members;
}

/** An archive of these members. `wide`: with all sizes and offsets in the fields of ZIP64. */
export function zip(members: readonly Member[], { wide = false, comment = "" } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  const put = (list: Buffer[], ...bytes: Buffer[]) => list.push(...bytes);
  const u16 = (...values: number[]) => Buffer.from(Uint16Array.from(values).buffer);
  const u32 = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
  const u64 = (...values: number[]) => Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);
  for (const { name, bytes, method = 0, flags = 0x800, claims = {} } of members) {
    const title = Buffer.from(name);
    const [size, at] = [claims.size ?? bytes.length, claims.offset ?? offset];
    const sums = (length: number) => u32(crc32(bytes), length, length);
    const local = [
      u32(0x04034b50),
      u16(45, flags, method, 0, 0),
      sums(bytes.length),
      u16(title.length, 0),
      title,
      bytes,
    ];
    const extra = wide ? Buffer.concat([u16(1, 24), u64(size, size, at)]) : Buffer.alloc(0);
    put(directory, u32(0x02014b50), u16(45, 45, flags, method, 0, 0), sums(wide ? 0xffffffff : size));
    put(directory, u16(title.length, extra.length, 0, 0, 0), u32(0, wide ? 0xffffffff : at), title, extra);
    put(parts, ...local);
    offset += local.reduce((sum, part) => sum + part.length, 0);
  }
  const central = Buffer.concat(directory);
  const count = members.length;
  if (wide) {
    put(directory, u32(0x06064b50), u64(44), u16(45, 45), u32(0, 0));
    put(directory, u64(count, count, central.length, offset));
    put(directory, u32(0x07064b50, 0), u64(offset + central.length), u32(1));
  }
  const said = wide ? [0xffff, 0xffffffff, 0xffffffff] : [count, central.length, offset];
  put(directory, u32(0x06054b50), u16(0, 0, said[0] as number, said[0] as number));
  put(directory, u32(said[1] as number, said[2] as number), u16(comment.length), Buffer.from(comment));
  return Buffer.concat([...parts, ...directory]);
}

// biome-ignore lint/suspicious/noExplicitAny: JSON that is taken apart
export type Json = any;

export interface Edits {
  model?: (model: Json) => void;
  weights?: (config: Json) => void;
  constants?: (config: Json) => void;
  members?: (members: Member[]) => Member[] | undefined;
}

/** A fixture's archive, packed anew with changes. */
export function edited(name: string, { model, weights, constants, members: change }: Edits): Buffer {
  const members = unzip(readFileSync(fixture(name)));
  for (const [ending, edit] of [
    ["/models/model.json", model],
    ["/model_weights_config.json", weights],
    ["/model_constants_config.json", constants],
  ] as const) {
    const member = members.find((one) => one.name.endsWith(ending)) as Member;
    if (!edit) continue;
    const json = JSON.parse(member.bytes.toString());
    edit(ending === "/models/model.json" ? json : json.config);
    member.bytes = Buffer.from(JSON.stringify(json));
  }
  return zip(change?.(members) ?? members);
}
