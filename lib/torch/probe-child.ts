import { tryForwardPass } from "./forward-pass.js";
// What probe.ts runs in a child process: loads everything and computes, and so shows whether this process could. With the name of
// a device it tries a forward pass there, and prints how it went.

import { native } from "./load.js";

const [device] = process.argv.slice(2);
try {
  if (device === undefined) await native().info();
  else process.stdout.write(JSON.stringify(await tryForwardPass(device)));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
