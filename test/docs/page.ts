import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect } from "vitest";

export const root = path.join(import.meta.dirname, "../..");

/**
 * A page whose commands are run in a folder of its own. Call it at the top of a test file.
 *
 * @param place the folder that has the page: docs/
 */
export function openPage(name: string, place = path.join(root, "docs")) {
  const text = readFileSync(path.join(place, `${name}.md`), "utf8");
  /** Within the package, so that its own name leads to dist/. */
  const folder = path.join(root, `build/${name}-page`);
  const clean = () => rmSync(folder, { recursive: true, force: true });
  beforeAll(() => {
    clean();
    mkdirSync(path.join(folder, "examples"), { recursive: true });
  });
  afterAll(clean);
  const node = (args: readonly string[]) =>
    execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8", stdio: "pipe" });
  return {
    text,
    folder,
    node,
    /** The page's blocks of a language. */
    blocks: (language: string) =>
      [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(
        ([, code]) => code as string,
      ),
    /** Runs a command line of the page: critical-sharpness, or node. A backslash at the end of a line continues it. */
    run(command: string): string {
      const line = command.replace(/\\\n */g, "");
      const [program, ...args] = (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ""));
      if (program === "node") return node(args);
      expect(program).toBe("critical-sharpness");
      return node([path.join(root, "dist/cli/main.js"), ...args]);
    },
    /** Whether what it links to is there. */
    checkLinks(): void {
      const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, link]) => link as string);
      expect(links.length).toBeGreaterThan(1);
      for (const link of links) expect(existsSync(path.join(place, link)), link).toBe(true);
    },
  };
}
