export { refusePointer } from "./contents.js";
export { badData, openFile, unreadable, writeWhole, writing } from "./file.js";
export { adapterFolder, adapterRemedy, foreignBytes, foreignFile, notAModel } from "./foreign.js";
export { npyHeaderBytes, npyMagic, parseNpyHeader } from "./npy.js";
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
export { writeSafetensors } from "./safetensors-writer.js";
export { type StoredNumbers, storedNumbers } from "./stored-numbers.js";
export { readText, textLines, unpackedName } from "./text.js";
export { parseShardHeader, type TokenDtype, type TokenLayout, widths } from "./token-shard.js";
