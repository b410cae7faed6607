// Rules about ways through several modules. They are asked of the imports that remain at runtime: a way that leads over
// a type-only import (store implements the engine's interfaces) is no way that code can take.

const { options } = require("./.dependency-cruiser.cjs");

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment: "Modules in a cycle see each other half initialised, and neither can be understood alone.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "ingest-reaches-no-handler",
      comment: "Ingest verifies, commits and answers; what handlers do must not be able to slow or stop it.",
      severity: "error",
      from: { path: "^apps/ingest/", pathNot: ["\\.test\\.ts$", "/test/"] },
      to: { path: "^packages/(?:handler-sdk|engine|handlers)/", reachable: true },
    },
  ],
  options: { ...options, tsPreCompilationDeps: false },
};
