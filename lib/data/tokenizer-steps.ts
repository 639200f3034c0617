import type { Tokenizer } from "@huggingface/tokenizers";

/** A step of tokenizer.json: a normalizer, or a pre-tokenizer. */
export type Step = { readonly type?: unknown } & Readonly<Record<string, unknown>>;

// As Rust's regular expressions and Unicode tables have them, in Oniguruma's notation.
const word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}";
const punctuation = "[\\p{P}!-/:-@\\[-`{-~]";

const split = (Regex: string, behavior: unknown, invert = false): Step => ({
  type: "Split",
  pattern: { Regex },
  behavior,
  invert,
});

const sequence = (...pretokenizers: Step[]): Step => ({ type: "Sequence", pretokenizers });

/**
 * A pre-tokenizer as one that splits by a pattern, where the library has another set of characters, or another way to cut, in
 * mind than Hugging Face's own code.
 */
export function asSplits(step: Step): Step {
  switch (step.type) {
    case "Sequence":
      return { ...step, pretokenizers: (step.pretokenizers as Step[]).map(asSplits) };
    case "Whitespace":
      return split(`[${word}]+|[^${word}\\s]+`, "Removed", true);
    case "WhitespaceSplit":
      return split("\\s", "Removed");
    case "Punctuation":
      return split(punctuation, step.behavior ?? "Isolated");
    case "Digits":
      return split("\\p{N}", step.individual_digits ? "Isolated" : "Contiguous");
    case "FixedLength":
      return split(`[\\s\\S]{1,${Number(step.length)}}`, "Isolated");
    case "CharDelimiterSplit":
      return { ...split("", "Removed"), pattern: { String: step.delimiter } };
    case "BertPreTokenizer":
      return sequence(split("\\s", "Removed"), split(punctuation, "Isolated"));
    case "Metaspace": {
      const at = { ...split("", "MergedWithNext"), pattern: { String: step.replacement ?? "▁" } };
      return step.split === false ? step : sequence(step, at);
    }
    default:
      return step;
  }
}

/** What the library made of a step; its declarations name no such types. */
interface MadeStep {
  config?: Step;
  /** Of a sequence. */
  tokenizers?: (MadeStep | null)[];
  normalizers?: (MadeStep | null)[];
  pattern?: RegExp | null;
  pre_tokenize_text(text: string): string[];
  normalize(text: string): string;
}

interface MadeModel {
  config: { byte_fallback?: unknown; vocab?: unknown };
  tokens_to_ids: Map<string, number>;
  _call(pieces: string[]): string[];
  encode(pieces: string[]): string[];
}

/** Puts right what the library does otherwise than Hugging Face's own code, in a tokenizer that it made. */
export function mendSteps(tokenizer: Tokenizer): void {
  for (const step of flat(tokenizer.pre_tokenizer)) mendPreTokenizer(step);
  for (const step of flat(tokenizer.normalizer)) mendNormalizer(step);
  const model = tokenizer.model as unknown as MadeModel;
  // Unknown letters are fused within a piece, not over its border.
  const call = model._call.bind(model);
  model._call = (pieces) => pieces.flatMap((piece) => call([piece]));
  // A vocabulary that is a list, of tokens with their scores, is Unigram's.
  if (Array.isArray(model.config.vocab) && model.config.byte_fallback === true) mendUnigram(model);
}

function flat(step: MadeStep | null): MadeStep[] {
  if (step === null) return [];
  const inner = step.tokenizers ?? step.normalizers;
  return inner ? inner.flatMap(flat) : [step];
}

function mendPreTokenizer(step: MadeStep): void {
  const { pattern, config } = step;
  if (config?.type === "Split") {
    const { behavior, invert } = config as { behavior: Behavior; invert?: boolean };
    if (!behaviors.includes(behavior) || !pattern) throw new Error(`a Split of ${JSON.stringify(config)}`);
    step.pre_tokenize_text = (text) => cut(text, pattern, behavior, invert);
  } else if (config?.type === "ByteLevel" && pattern) {
    // JavaScript's \s has U+FEFF and lacks U+0085.
    const source = pattern.source.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}");
    step.pattern = new RegExp(source, "gu");
  }
}

const behaviors = ["Removed", "Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext"] as const;
type Behavior = (typeof behaviors)[number];

/** Cuts a text at what a pattern finds, as `NormalizedString::split` of Hugging Face's tokenizers. */
function cut(text: string, pattern: RegExp, behavior: Behavior, invert = false): string[] {
  const pieces: { text: string; found: boolean }[] = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(pattern)) {
    if (index > end) pieces.push({ text: text.slice(end, index), found: invert });
    pieces.push({ text: match, found: !invert });
    end = index + match.length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end), found: invert });
  return joined(pieces, behavior).filter((piece) => piece !== "");
}

function joined(pieces: readonly { text: string; found: boolean }[], behavior: Behavior): string[] {
  if (behavior === "Removed") return pieces.filter(({ found }) => !found).map(({ text }) => text);
  const result: string[] = [];
  const backwards = behavior === "MergedWithNext";
  let before: boolean | undefined;
  for (const { text, found } of backwards ? pieces.toReversed() : pieces) {
    const merges =
      behavior === "Contiguous" ? found === before : behavior !== "Isolated" && found && before === false;
    const last = result.length - 1;
    if (merges) result[last] = backwards ? text + result[last] : result[last] + text;
    else result.push(text);
    before = found;
  }
  return backwards ? result.reverse() : result;
}

function mendNormalizer(step: MadeStep): void {
  const { type, lowercase, strip_left: left, strip_right: right, content } = step.config ?? {};
  const normalize = step.normalize.bind(step);
  if (type === "Lowercase" || (type === "BertNormalizer" && lowercase))
    // Hugging Face's own code goes letter by letter: a sigma at a word's end is one like any other.
    step.normalize = (text) => normalize(text.replaceAll("Σ", "σ"));
  else if (type === "Strip")
    step.normalize = (text) => {
      const begun = left ? text.replace(/^\p{White_Space}+/u, "") : text;
      return right ? begun.replace(/\p{White_Space}+$/u, "") : begun;
    };
  // A dollar sign in what takes a match's place is a dollar sign.
  else if (type === "Replace" && step.pattern)
    step.normalize = (text) => text.replaceAll(step.pattern as RegExp, () => String(content ?? ""));
}

/** What no token spells becomes its bytes, where the vocabulary has all of them. */
function mendUnigram(model: MadeModel): void {
  const encode = model.encode.bind(model);
  const isKnown = (token: string) => model.tokens_to_ids.has(token);
  model.encode = (pieces) =>
    pieces.flatMap((piece) => {
      const result: string[] = [];
      let unknown = "";
      const end = () => {
        const bytes = Array.from(new TextEncoder().encode(unknown), byteToken);
        if (unknown !== "") result.push(...(bytes.every(isKnown) ? bytes : [unknown]));
        unknown = "";
      };
      for (const token of encode([piece])) {
        if (!isKnown(token)) {
          unknown += token;
          continue;
        }
        end();
        result.push(token);
      }
      end();
      return result;
    });
}

const byteToken = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
