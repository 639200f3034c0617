import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");

it("the reference and the schemas are those of the code: else run `npm run docs`", async () => {
  const { references } = await import(pathToFileURL(path.join(root, "scripts/docs.mjs")).href);
  const made: Record<string, string> = await references();
  expect(Object.keys(made)).toContain("docs/reference.md");
  for (const [file, text] of Object.entries(made)) {
    expect(existsSync(path.join(root, file))).toBe(true);
    expect(readFileSync(path.join(root, file), "utf8")).toBe(text);
  }
});

it("every key of a configuration and every flag says what it is", () => {
  const page = readFileSync(path.join(root, "docs/reference.md"), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  expect(rows.length).toBeGreaterThan(150);
  expect(rows.filter((row) => /\| *\|$/.test(row) || row.includes("undefined"))).toEqual([]);
});

it("the schema of a training knows its keys, their bounds and the quickstart", () => {
  const schema = JSON.parse(readFileSync(path.join(root, "docs/schemas/train.json"), "utf8"));
  const example = JSON.parse(readFileSync(path.join(root, "examples/quickstart.json"), "utf8"));
  expect(schema.additionalProperties).toBe(false);
  for (const key of Object.keys(example)) expect(schema.properties).toHaveProperty([key]);
  expect(schema.properties.steps).toMatchObject({
    type: "integer",
    minimum: 1,
    description: expect.any(String),
  });
  expect(example.$schema).toBe("../docs/schemas/train.json");
});
