import type { Checkpoint, Registration } from "./families/settings.js";
import { type Parameter, parameterKind } from "./parameters.js";

const layer = /^(.*\b(?:h|layers)\.\d+\.)(.+)$/;
const isNorm = (module: string) => parameterKind(module) === "norms";

/** The places of a model's parameters in the order in which `named_parameters()` of PyTorch's module has them. */
export function registeredParameters(
  parameters: readonly Parameter[],
  checkpoint: Checkpoint | undefined,
): number[] {
  const indices = parameters.map((_, i) => i);
  const registration = checkpoint ? (checkpoint.registration ?? "norms-last") : "as-computed";
  if (registration === "as-computed") return indices;
  const places = new Map<string, number>();
  const placeOf = (module: string) => {
    if (!places.has(module)) places.set(module, places.size);
    return places.get(module) as number;
  };
  const keys = parameters.map(({ name }) => keyOf(name, registration, placeOf));
  return indices.sort((a, b) => compare(keys[a] as number[], keys[b] as number[]));
}

/** Its layer, whether its part of the layer comes late, that part, and whether it is one of attention's norms. */
function keyOf(
  name: string,
  registration: Registration,
  placeOf: (module: string) => number,
): readonly number[] {
  const [, prefix, rest] = layer.exec(name) ?? [];
  if (prefix === undefined || rest === undefined) return [placeOf(name), 0, 0, 0];
  const [part = "", ...within] = rest.split(".");
  const late = isNorm(part) === (registration === "norms-last");
  return [placeOf(prefix), Number(late), placeOf(prefix + part), Number(within.some(isNorm))];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const differing = a.findIndex((number, i) => number !== b[i]);
  return differing < 0 ? 0 : (a[differing] as number) - (b[differing] as number);
}

/** What PyTorch's modules wrap names in: DistributedDataParallel, torch.compile, FSDP, activation checkpointing. */
const wrappers = /(^|\.)(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.)/g;

/** PEFT has an adapter's name in those of its parameters. */
const peftAdapter = /(\.lora_[AB])\.\w+(?=\.weight$)/;

/**
 * Which of a model's parameters PyTorch's names are: of a wrapped module, of a module that is a part of this one or that this one is a
 * part of, by the same prefix for all, or by another name that the family has for it. undefined where some are none of them.
 */
export function parametersCalled(
  names: readonly string[],
  parameters: readonly { name: string }[],
  checkpoint: Checkpoint | undefined,
): number[] | undefined {
  const bare = names.map((name) => name.replace(wrappers, "").replace(/^\./, "").replace(peftAdapter, "$1"));
  const places = new Map(parameters.map(({ name }, i) => [name, i]));
  for (const [own, other] of Object.entries(checkpoint?.aliases ?? {}))
    if (places.has(own)) places.set(other, places.get(own) as number);
  const first = bare[0] ?? "";
  const known = [...places.keys()];
  const renamings: ((name: string) => string)[] = [
    (name) => name,
    ...known
      .filter((name) => name.endsWith(`.${first}`))
      .map((name) => (one: string) => name.slice(0, -first.length) + one),
    ...known
      .filter((name) => first.endsWith(`.${name}`))
      .map((name) => {
        const prefix = first.slice(0, -name.length);
        return (one: string) => (one.startsWith(prefix) ? one.slice(prefix.length) : one);
      }),
  ];
  const found = renamings
    .map((rename) => bare.map((name) => places.get(rename(name))))
    .filter((indices) => !indices.includes(undefined) && new Set(indices).size === names.length);
  const distinct = new Set(found.map(String));
  return distinct.size === 1 ? (found[0] as number[]) : undefined;
}
