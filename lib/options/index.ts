export {
  checkBoolean,
  checkCallback,
  checkChoice,
  checkInstance,
  checkNames,
  checkNumber,
  checkOptions,
  checkSignal,
  checkString,
  checkStrings,
  or,
} from "./checks.js";
export type { ConfigurationPlace } from "./errors.js";
export { badConfiguration, explain, pathName } from "./errors.js";
export { addFlags, type Flag, flags } from "./flags.js";
export { jsonSchemaOf, referenceOf } from "./reference.js";
export { count, fraction, name, names, schemaKey, section, seedSchema } from "./schema.js";
