export { arrowTexts } from "./arrow-texts.js";
export { dataSchema, isExampleData, ownTokenizer, resolveData } from "./description.js";
export {
  type ExampleBatch,
  ExampleBatches,
  type ExampleBatchOptions,
  type ExampleSet,
  type SyntheticOptions,
  syntheticExamples,
} from "./examples.js";
export { loadCifar10, loadMnist } from "./images.js";
export {
  Apportionment,
  dolminoShares,
  MixtureBatches,
  type MixtureOptions,
  normalizedShares,
  type Shares,
  varyShare,
} from "./mixture-batches.js";
export { type MultipleChoiceQuestion, multipleChoiceQuestions } from "./multiple-choice.js";
export { type CorpusOptions, type OpenedData, openData, tokenizeCorpus } from "./open-data.js";
export { parquetTexts } from "./parquet-texts.js";
export { type Random, random } from "./random.js";
export { type Document, type RecordText, templateText } from "./template.js";
export { type TensorBatch, TensorBatches, type TensorSet } from "./tensors.js";
export {
  csvTexts,
  jsonLinesTexts,
  jsonTexts,
  listFiles,
  plainTexts,
  stateOfTheUnionTexts,
  type Texts,
} from "./texts.js";
export { type TokenBatch, TokenBatches, type TokenBatchOptions } from "./token-batches.js";
export { checkVocabulary, openTokenFile, type TokenFileOptions } from "./token-file.js";
export { byteTokenizer, type DocumentOptions, loadTokenizer, type TextTokenizer } from "./tokenizers.js";
export { concatenated, splitStream, type TokenArray, type TokenStream, tokensInMemory } from "./tokens.js";
