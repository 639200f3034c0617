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
export { addFlags, type Flag, flags } from "./flags.js";
export { jsonSchemaOf, referenceOf } from "./reference.js";
export {
  badConfiguration,
  type ConfigurationPlace,
  checkSet,
  count,
  explain,
  fraction,
  name,
  names,
  pathName,
  schemaKey,
  section,
  seedSchema,
} from "./schema.js";
