import * as z from "zod";
import { flags } from "./flags.js";
import { layers } from "./schema.js";

/** The JSON Schema of a configuration, for editors: what `$schema` in it names. */
export function jsonSchemaOf(schema: z.ZodType, title: string): Record<string, unknown> {
  return { ...z.toJSONSchema(schema, conversion), title };
}

const conversion: z.core.ToJSONSchemaParams = {
  io: "input",
  unrepresentable: "any",
  override({ zodSchema, jsonSchema }) {
    // What a value is made into before it is checked takes what the check takes, and a name or a list of names besides.
    if (zodSchema instanceof z.ZodPipe && jsonSchema.anyOf === undefined) {
      const { $schema: _, ...checked } = z.toJSONSchema(zodSchema.def.out as z.ZodType, conversion);
      const names: z.core.JSONSchema.JSONSchema = { type: "array", items: { type: "string" } };
      const files: z.core.JSONSchema.JSONSchema = {
        type: "object",
        properties: { files: names },
        required: ["files"],
      };
      jsonSchema.anyOf = [{ type: "string" }, files, checked];
    }
  },
};

interface Property {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  default?: unknown;
  description?: string;
  properties?: Record<string, Property>;
  required?: string[];
  items?: Property;
  anyOf?: Property[];
  oneOf?: Property[];
  additionalProperties?: Property | boolean;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
}

/** Every key of a configuration in Markdown: what it takes, its default, its flag, and what it means. */
export function referenceOf(schema: z.ZodType): string {
  const said = flagsByKey(schema, []);
  const byKey = new Map<string, Row[]>();
  for (const row of rowsOf(jsonSchemaOf(schema, "") as Property, []))
    byKey.set(row.key, [...(byKey.get(row.key) ?? []), row]);
  const lines = [...byKey].map(([key, rows]) => {
    // Forms of a section may have a key of the same name.
    const different = (of: (row: Row) => string) => [...new Set(rows.map(of))].filter(Boolean).join(" or ");
    const cells = [
      code(key),
      cell(different(({ property }) => kindOf(property))),
      different(usualOf),
      (said.get(key) ?? []).map(code).join("<br>"),
      cell(rows.map(({ property }) => property.description).find(Boolean) ?? ""),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return ["| key | takes | default | flag | |", "| --- | --- | --- | --- | --- |", ...lines].join("\n");
}

function usualOf({ property, needed }: Row): string {
  if (property.default !== undefined) return code(JSON.stringify(property.default));
  return needed ? "needed" : "";
}

const code = (text: string) => `\`${text.replaceAll("|", "\\|")}\``;
const cell = (text: string) => text.replaceAll("|", "\\|");

interface Row {
  key: string;
  property: Property;
  needed: boolean;
}

function rowsOf(property: Property, path: readonly string[]): Row[] {
  const { properties = {}, required = [], additionalProperties } = property;
  const own = Object.entries(properties).flatMap(([name, inner]) => {
    const place = [...path, name];
    // The name of a form is said by the form that it chooses.
    const row = {
      key: place.join("."),
      property: inner,
      needed: required.includes(name) && !("const" in inner),
    };
    return [...("const" in inner ? [] : [row]), ...rowsOf(inner, place)];
  });
  const forms = [...(property.anyOf ?? []), ...(property.oneOf ?? [])].flatMap((form) => rowsOf(form, path));
  const named =
    typeof additionalProperties === "object" ? rowsOf(additionalProperties, [...path, "<name>"]) : [];
  const listed = property.items ? rowsOf(property.items, [...path.slice(0, -1), `${path.at(-1)}[]`]) : [];
  return [...own, ...forms, ...named, ...listed];
}

/** What a key takes, in words. */
function kindOf(property: Property): string {
  const forms = [...(property.anyOf ?? []), ...(property.oneOf ?? [])];
  if (forms.length > 0) {
    const names = forms.map((form) => form.properties?.type?.const).filter((name) => name !== undefined);
    if (names.length > 0) return `\`type\`: ${names.map((name) => JSON.stringify(name)).join(", ")}`;
    return [...new Set(forms.map(kindOf))].join(" or ");
  }
  if (property.enum) return property.enum.map((value) => JSON.stringify(value)).join(", ");
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = property;
  const bounds = [
    exclusiveMinimum !== undefined ? `> ${exclusiveMinimum}` : minimum !== undefined && `≥ ${minimum}`,
    exclusiveMaximum !== undefined ? `< ${exclusiveMaximum}` : maximum !== undefined && `≤ ${maximum}`,
  ].filter((bound) => bound && !bound.includes(String(Number.MAX_SAFE_INTEGER)));
  return [String(property.type ?? "anything"), ...bounds].join(" ");
}

/** The flags of each key, by its place. */
function flagsByKey(schema: z.ZodType, path: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const add = (key: string, flag: string) => {
    const known = found.get(key) ?? [];
    if (!known.includes(flag)) found.set(key, [...known, flag]);
  };
  for (const layer of layers(schema)) {
    const own = flags.get(layer);
    for (const { flag, at = [] } of own ? ("flags" in own ? own.flags : [own]) : [])
      add([...path, ...at].join("."), flag);
    const inner: [readonly string[], z.ZodType][] =
      layer instanceof z.ZodObject
        ? Object.entries(layer.shape).map(([name, one]) => [[...path, name], one as z.ZodType])
        : layer instanceof z.ZodUnion
          ? layer.options.map((one) => [path, one as z.ZodType])
          : [];
    for (const [place, one] of inner)
      for (const [key, all] of flagsByKey(one, place)) for (const flag of all) add(key, flag);
  }
  return found;
}
