#!/usr/bin/env node
// `npx penstock …` in a clone of this repository: the same as `npm run penstock -- …`, without npm's banner on
// standard output.
process.argv.splice(2, 0, "penstock");
await import("./run.mjs");
