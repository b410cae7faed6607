#!/bin/sh
# Puts together what one image runs: assemble BUILT TARGET FILTER…
# Installs the production dependencies of the packages that the filters select, in the working directory, where the
# workspace's manifests are; then moves them to TARGET, with what was compiled of these packages in BUILT.
set -eu
built=$1 target=$2
shift 2
for filter; do
  set -- "$@" --filter-prod "$filter"
  shift
done

# --no-optional leaves out the embedded Postgres, and native builds that have a JavaScript twin: what is left is the same
# for every processor.
pnpm install --prod --no-optional --frozen-lockfile --ignore-scripts --store-dir /pnpm/store "$@"

pnpm "$@" list --depth -1 --parseable | while read -r folder; do
  name=${folder#"$PWD"}
  mkdir -p "$target$name"
  mv "$folder/package.json" "$target$name/"
  [ ! -d "$folder/node_modules" ] || mv "$folder/node_modules" "$target$name/"
  case $name in
    "") cp -r "$built/dist/." "$target/" ;; # penstock.config.js and penstock.sources.js stand where they do in the repository
    *) cp -r "$built$name/dist" "$target$name/" ;;
  esac
done
mkdir -p "$target/node_modules/@penstock"
if [ ! -f "$target/penstock.sources.js" ]; then
  # An image without handlers: of what stands at the root it gets the sources, which need @penstock/sources alone.
  cp package.json "$built/dist/penstock.sources.js" "$target/"
  [ ! -d "$built/dist/sources" ] || cp -r "$built/dist/sources" "$target/"
  ln -s ../../packages/sources "$target/node_modules/@penstock/sources"
fi
[ -d "$target/node_modules/.pnpm" ] || mv node_modules/.pnpm "$target/node_modules/"

# Declarations and maps name sources that are not here; nobody runs the tests of others.
find "$target" -type f \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' -o -name '*.md' \
  -o -name '*.test.js' -o -name '.tsbuildinfo' \) -delete
find "$target/node_modules/.pnpm" -mindepth 3 -maxdepth 5 -type d \( -path '*/node_modules/*/test' -o -path '*/node_modules/*/tests' \) \
  -prune -exec rm -rf {} +
