# Four images from one file:
#
#   docker build --target ingest  -t penstock-ingest  .
#   docker build --target worker  -t penstock-worker  .
#   docker build --target console -t penstock-console .
#   docker build --target migrate -t penstock-migrate .     the `penstock` command; migrates unless told otherwise
#
# Each holds Node, compiled JavaScript and production dependencies: no TypeScript, no tests, no npm. They run as the
# user `node` (1000) and write nowhere, so `--read-only` is fine. All hold penstock.sources.ts, compiled, with what it
# imports from the folder sources; the worker and migrate hold penstock.config.ts, too, and every package that the root
# package.json names in its dependencies: your handlers.

ARG NODE_IMAGE=node:24-trixie-slim

# ── Build: runs on the builder's own processor, since its result is JavaScript for any.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS tools
WORKDIR /src
# The slim image has no certificate authorities, and pnpm, which is not run by Node, trusts the system's: give it Node's.
RUN test -s /etc/ssl/certs/ca-certificates.crt || { \
      mkdir -p /etc/ssl/certs && \
      node -p 'require("node:tls").getCACertificates().join("\n")' > /etc/ssl/certs/ca-certificates.crt; }
COPY package.json ./
RUN --mount=type=cache,target=/root/.npm \
    npm install --global --no-audit --no-fund "$(node -p 'require("./package.json").packageManager')"
ENV CI=true

# Manifests alone, so that dependencies are fetched again only when one of these has changed.
FROM tools AS manifests
COPY . /all
RUN cd /all && find . \( -name package.json -o -name 'pnpm-*.yaml' \) -exec cp --parents -t /src {} +

FROM tools AS build
COPY --from=manifests /src ./
# Locked, here and below: the first that installs downloads for all.
# Scripts are ignored: what they install (a Node, an embedded Postgres) is for development machines.
RUN --mount=type=cache,id=pnpm,target=/pnpm,sharing=locked \
    pnpm install --frozen-lockfile --ignore-scripts --store-dir /pnpm/store
COPY . .
RUN pnpm exec tsc -b apps/ingest apps/worker apps/console apps/cli packages/handlers/* && pnpm exec tsc -p docker && \
    node --conditions=@penstock/source apps/console/build-web.ts

# What each image runs. "name..." is a package with all that it depends on; `penstock` itself is the root package.json.
FROM tools AS production
COPY --from=manifests /src ./
COPY docker/assemble.sh /usr/local/bin/assemble

FROM production AS production-ingest
RUN --mount=type=cache,id=pnpm,target=/pnpm,sharing=locked --mount=type=bind,from=build,source=/src,target=/built \
    assemble /built /app '@penstock/ingest...'

FROM production AS production-worker
RUN --mount=type=cache,id=pnpm,target=/pnpm,sharing=locked --mount=type=bind,from=build,source=/src,target=/built \
    assemble /built /app 'penstock...' '@penstock/worker...'

FROM production AS production-console
RUN --mount=type=cache,id=pnpm,target=/pnpm,sharing=locked --mount=type=bind,from=build,source=/src,target=/built \
    assemble /built /app '@penstock/console...'

FROM production AS production-migrate
RUN --mount=type=cache,id=pnpm,target=/pnpm,sharing=locked --mount=type=bind,from=build,source=/src,target=/built \
    assemble /built /app 'penstock...' '@penstock/cli...'

# ── Run
FROM ${NODE_IMAGE} AS runtime
# Nothing in a running container installs anything; what could, an intruder could use.
RUN rm -rf /usr/local/lib/node_modules /opt/yarn-* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
WORKDIR /app
# The internal port (metrics, health) has to be reached from other containers; it is not published.
ENV NODE_ENV=production INTERNAL_HOST=0.0.0.0
# Threads that allocate share two arenas: less memory.
ENV MALLOC_ARENA_MAX=2
# A number: Kubernetes' runAsNonRoot does not look up names.
USER 1000:1000
# The base image's entrypoint is a shell script; without it node is process 1 and gets SIGTERM itself.
ENTRYPOINT []
ARG VERSION=0.1.0
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.description="Durable webhook ingestion: verified, committed, and handled exactly once."

FROM runtime AS ingest
LABEL org.opencontainers.image.title="penstock-ingest"
COPY --from=production-ingest /app ./
# Where compose mounts a volume for INTAKE_REFUSED_DIR: a new volume takes its owner from here.
USER 0:0
RUN mkdir -m 0700 /refused && chown 1000:1000 /refused
USER 1000:1000
EXPOSE 8080 9464
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["node", "-e", \
  "fetch(`http://127.0.0.1:${process.env.INGEST_INTERNAL_PORT || 9464}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "apps/ingest/dist/main.js"]

FROM runtime AS worker
LABEL org.opencontainers.image.title="penstock-worker"
COPY --from=production-worker /app ./
EXPOSE 9465
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["node", "-e", \
  "fetch(`http://127.0.0.1:${process.env.WORKER_INTERNAL_PORT || 9465}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "apps/worker/dist/main.js"]

FROM runtime AS console
LABEL org.opencontainers.image.title="penstock-console"
COPY --from=production-console /app ./
EXPOSE 8081 9466
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["node", "-e", \
  "fetch(`http://127.0.0.1:${process.env.CONSOLE_INTERNAL_PORT || 9466}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "apps/console/dist/main.js"]

FROM runtime AS migrate
LABEL org.opencontainers.image.title="penstock-migrate"
COPY --from=production-migrate /app ./
COPY docker/penstock /usr/local/bin/penstock
ENV PENSTOCK_COMMAND=penstock
ENTRYPOINT ["penstock"]
CMD ["migrate"]
