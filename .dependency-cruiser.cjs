// Who may import whom (ARCHITECTURE.md). `npm run check` enforces it; tools/check.test.ts plants a violation of each rule.

const workspace = "^(?:apps|packages)/";
/** The folder of one app, package or handler: `$1` in the other half of a rule. */
const itsOwnFolder = "^((?:apps|packages)/(?:handlers/)?[^/]+)/";
/** What never runs in production: tests, what is for them, and the benchmark, whose peers use libraries as others would. */
const tests = [
  "\\.test\\.ts$",
  "/test/",
  "^packages/(?:testing|test-postgres|handler-testing|bench|chaos)/",
  "^vitest\\.config\\.ts$",
];

/** Names of npm packages, as resolved (pnpm keeps them below node_modules/.pnpm) and as written where they are missing. */
const npm = (...names) => `(?:^|node_modules/)(?:@types/)?(?:${names.join("|")})(?:/|$)`;

/** A package that may import those given and no other app or package; its tests may import more. */
const importsOnly = (name, comment, self, ...others) => ({
  name,
  comment,
  severity: "error",
  from: { path: `^packages/${self}/`, pathNot: tests },
  to: { path: workspace, pathNot: [self, ...others].map((folder) => `^packages/${folder}/`) },
});

const forbidden = [
  importsOnly("schemas-is-a-leaf", "Everything speaks the words of schemas; it imports no other package.", "schemas"),
  importsOnly("sources-imports-schemas-only", "A leaf: pure functions over bytes.", "sources", "schemas"),
  importsOnly(
    "handler-sdk-imports-schemas-only",
    "A leaf: all that a handler's author has to install and read.",
    "handler-sdk",
    "schemas",
  ),
  importsOnly("client-imports-schemas-only", "Types of the contract: it runs in a browser, too.", "client", "schemas"),
  {
    name: "the-page-speaks-by-the-client-only",
    comment: "What runs in the browser knows of Penstock what the admin API tells: no store, no server.",
    severity: "error",
    from: { path: "^apps/console/web/src/", pathNot: tests },
    to: { path: [workspace, "^apps/console/src/"], pathNot: ["^apps/console/web/", "^packages/(?:client|schemas)/"] },
  },
  importsOnly(
    "archive-imports-store-only",
    "What archives is told the time and where to; it knows no queue and no engine.",
    "archive",
    "schemas",
    "store",
  ),
  importsOnly("dispatch-imports-schemas-only", "A leaf: HTTP and cryptography, no store.", "dispatch", "schemas"),
  importsOnly(
    "handlers-import-the-sdk-only",
    "A handler is a plug-in: handler-sdk and schemas are all it may know of Penstock, other handlers included.",
    "handlers/([^/]+)",
    "handler-sdk",
    "schemas",
  ),
  importsOnly(
    "engine-declares-what-it-needs",
    "The engine declares interfaces; store and queue are handed to it.",
    "engine",
    "dispatch",
    "handler-sdk",
    "schemas",
    "sources",
    "telemetry",
  ),
  importsOnly(
    "intake-declares-what-it-needs",
    "Intake declares interfaces; store and queue are handed to it.",
    "intake",
    "schemas",
    "sources",
    "telemetry",
  ),
  {
    name: "only-queue-imports-bullmq-or-redis",
    comment: "BullMQ and its Redis client are details of packages/queue.",
    severity: "error",
    from: { path: workspace, pathNot: ["^packages/queue/", ...tests] },
    to: { path: npm("bullmq", "ioredis", "redis", "@redis/[^/]+") },
  },
  {
    name: "only-store-imports-pg",
    comment: "Connections to Postgres are made and kept in packages/store.",
    severity: "error",
    from: { path: workspace, pathNot: ["^packages/store/", ...tests] },
    // The form of an address is checked with the rest of the configuration.
    to: { path: npm("pg", "pg-[^/]+", "postgres"), pathNot: npm("pg-connection-string") },
  },
  {
    name: "only-dispatch-imports-undici",
    comment: "Its guard stands before every request to an address of somebody else's choice.",
    severity: "error",
    from: { path: workspace, pathNot: ["^packages/dispatch/", ...tests] },
    to: { path: npm("undici") },
  },
  {
    name: "kysely-in-store-and-handlers-only",
    comment:
      "SQL is written in packages/store and in handlers, whose contexts (handler-sdk) carry a Kysely transaction.",
    severity: "error",
    from: { path: workspace, pathNot: ["^packages/(?:store|handler-sdk|handlers)/", ...tests] },
    to: { path: npm("kysely", "kysely-[^/]+") },
  },
  {
    name: "store-imports-interfaces-as-types-only",
    comment: "The store implements what engine, intake and handler-sdk declare; it must not run their code.",
    severity: "error",
    from: { path: "^packages/store/", pathNot: tests },
    to: { path: "^packages/(?:engine|intake|handler-sdk|handlers)/", dependencyTypesNot: ["type-only", "type-import"] },
  },
  {
    name: "ingest-imports-no-handler",
    comment: "Ingest verifies, commits and answers; what handlers do must not be able to slow or stop it.",
    severity: "error",
    from: { path: "^apps/ingest/", pathNot: tests },
    to: { path: "^packages/(?:handler-sdk|engine|handlers)/" },
  },
  {
    name: "handlers-are-plugged-in-by-the-config",
    comment:
      "penstock.config.ts alone names the handlers: nothing else may depend on what a business does with events.",
    severity: "error",
    from: { path: itsOwnFolder, pathNot: tests },
    to: { path: "^packages/handlers/", pathNot: "^$1/" },
  },
  {
    name: "no-app-is-imported",
    comment:
      "Apps are ends, not parts: what two of them share belongs in a package. The CLI starts ingest and workers as processes.",
    severity: "error",
    from: { path: itsOwnFolder, pathNot: tests },
    to: { path: "^apps/", pathNot: "^$1/" },
  },
  {
    name: "testing-is-for-tests",
    comment:
      "They start servers and read the environment, packages/bench is a program: production code must not reach them.",
    severity: "error",
    from: { pathNot: tests },
    to: { path: "^packages/(?:testing|test-postgres|handler-testing|bench|chaos)/" },
  },
  {
    name: "tests-are-not-imported",
    comment: "A test is nobody's library.",
    severity: "error",
    from: { pathNot: tests },
    to: { path: ["\\.test\\.ts$", `${workspace}.*/test/`] },
  },
  {
    name: "packages-are-entered-by-their-exports",
    comment: "Import another package by its name: a relative path goes around its exports and its dependency list.",
    severity: "error",
    from: { path: itsOwnFolder },
    to: { path: workspace, pathNot: "^$1/", dependencyTypes: ["local"] },
  },
  {
    name: "no-dev-dependency-in-production",
    comment: "What runs in production belongs in dependencies; devDependencies are for tests and types.",
    severity: "error",
    // The console's page is built: what it is built of is not there when it is used.
    from: { path: workspace, pathNot: [...tests, "^apps/console/(?:web/|build-web)"] },
    to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only", "npm"] },
  },
  {
    name: "imports-resolve",
    comment: "An import that leads nowhere is one that no rule above can judge.",
    severity: "error",
    from: {},
    to: { couldNotResolve: true },
  },
];

module.exports = {
  forbidden,
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(?:^|/)(?:dist|coverage|\\.penstock)/" },
    // Type-only imports count as well, except where a rule says otherwise.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ["@penstock/source", "import", "node", "default"],
      exportsFields: ["exports"],
      extensions: [".ts", ".tsx", ".mjs", ".js", ".json", ".d.ts"],
    },
    skipAnalysisNotInRules: true,
  },
};
