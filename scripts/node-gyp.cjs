#!/usr/bin/env node
// prebuildify calls this in place of node-gyp: no gyp, no Python and no download of headers is needed.
require("node:child_process").execFileSync(process.execPath, [`${__dirname}/build-native.mjs`], {
  stdio: "inherit",
});
