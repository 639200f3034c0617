// What probe.ts runs in a child process: loads everything and computes, and so shows whether this process could.
import { native } from "./load.js";

try {
  await native().info();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
