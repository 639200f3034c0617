import { integerText, prose } from "./numbers.js";

/** Settings in the field's words; others go by their place in the configuration. */
const words: Record<string, (value: unknown) => string> = {
  "optimizer.learningRate": (value) => `η = ${prose(value as number)}`,
  "batch.size": (value) => `batch of ${integerText(value as number)}`,
  "optimizer.type": String,
  "schedule.type": (value) => `${value} schedule`,
  seed: (value) => `seed ${value}`,
};

/** Names for runs, from the settings in which they differ; numbers where they differ in none. */
export function runNames(configurations: readonly object[]): string[] {
  const settings = configurations.map((configuration) => new Map(leaves(configuration, "")));
  const places = [...new Set(settings.flatMap((setting) => [...setting.keys()]))];
  const differing = places.filter(
    (place) => new Set(settings.map((setting) => JSON.stringify(setting.get(place)))).size > 1,
  );
  const names = settings.map((setting) =>
    differing
      .map((place) => {
        const value = setting.get(place);
        return value === undefined ? `no ${place}` : (words[place]?.(value) ?? `${place} ${value}`);
      })
      .join(", "),
  );
  return names.map((name, i) => name || `run ${i + 1}`);
}

/** Every setting with its place: "optimizer.learningRate". Arrays are one setting. */
function* leaves(value: unknown, place: string): Generator<[string, unknown]> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    yield [place, Array.isArray(value) ? value.join(", ") : value];
    return;
  }
  for (const [key, inner] of Object.entries(value)) yield* leaves(inner, place ? `${place}.${key}` : key);
}
