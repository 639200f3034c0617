export {
  callback,
  checkBoolean,
  checkChoice,
  checkInstance,
  checkNumber,
  checkOptions,
  checkSignal,
  checkString,
  checkStrings,
  instance,
  type OptionsOf,
  readOptions,
  signalSchema,
} from "./checks.js";
export { addFlags, type Flag, flags } from "./flags.js";
export { jsonSchemaOf, referenceOf } from "./reference.js";
export {
  badConfiguration,
  type ConfigurationPlace,
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
