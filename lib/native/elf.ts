import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const machines: Record<number, string> = { 3: "ia32", 40: "arm", 62: "x64", 183: "arm64" };

/**
 * What is wrong with a shared library of Linux: it cannot be read, is another kind of file, is for another processor, or ends
 * before its table of sections, which linkers put last. Loading a file that ends early can end the process. Undefined: nothing.
 */
export function libraryProblem(file: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" ? "this user may not read it (EACCES)" : `it cannot be opened (${code})`;
  }
  try {
    const header = Buffer.alloc(64);
    const length = readSync(descriptor, header, 0, header.length, 0);
    if (length < header.length || header.readUInt32BE(0) !== 0x7f454c46) return "it is no shared library";
    const machine = machines[header.readUInt16LE(18)] ?? "another processor";
    if (machine !== process.arch) return `it is for ${machine}, not ${process.arch}`;
    const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
    const { size } = fstatSync(descriptor);
    return size < end ? `it ends after ${size} of ${end} bytes` : undefined;
  } finally {
    closeSync(descriptor);
  }
}
