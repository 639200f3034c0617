export { badData, openFile, unreadable, writeWhole, writing } from "./file.js";
export {
  adapterFolder,
  adapterRemedy,
  foreignBytes,
  foreignFile,
  notAModel,
  refusePointer,
} from "./foreign.js";
export {
  floatingDtype,
  floatingDtypes,
  readExactly,
  readSafetensorsHeader,
  readStoredTensor,
  type SafetensorsHeader,
  type StoredDtype,
  type StoredTensor,
} from "./safetensors.js";
export { type TensorSource, writeSafetensors } from "./safetensors-writer.js";
export { contiguousPlace, type StoredArray, type StoredPiece } from "./stored-array.js";
export { type StoredNumbers, storedNumbers } from "./stored-numbers.js";
export { readText, textLines, unpackedName } from "./text.js";
export {
  npyHeaderBytes,
  npyMagic,
  parseNpyHeader,
  parseShardHeader,
  type TokenDtype,
  type TokenLayout,
  widths,
} from "./token-layout.js";
export { readZipDirectory, readZipMember, type ZipDirectory, type ZipMember, zipMember } from "./zip.js";
