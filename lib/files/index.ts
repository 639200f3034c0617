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
export {
  contiguousPlace,
  rowMajorStrides,
  type StoredArray,
  type StoredPiece,
  storedArray,
} from "./stored-array.js";
export { storedBytes } from "./stored-bytes.js";
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
export { readTorchFile } from "./torch/archive.js";
export { metadataFile, readDistributedCheckpoint } from "./torch/distributed-checkpoint.js";
export { badTorchFile, isStoredArray, Named, NumpyArray, Opaque, type TorchValue } from "./torch/values.js";
export { readZipDirectory, readZipMember, type ZipDirectory, type ZipMember, zipMember } from "./zip.js";
