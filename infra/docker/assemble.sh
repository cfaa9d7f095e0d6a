#!/usr/bin/env bash
# Puts what the service image runs into DIR: compiled services, their dependencies for this platform, the model catalogue, and
# a list of all of it (CycloneDX). Needs the workspace's packages (make packages, or pnpm install). Runs in the image's build,
# and as well without one.
# usage: assemble.sh DIR (must not exist yet)
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$1
[ ! -e "$out" ] || { echo "assemble: $out is there already" >&2; exit 1; }
compiled=$(mktemp -d)
trap 'rm -rf "$compiled"' EXIT
mkdir -p "$out"

echo "assemble: compiling"
tsc -p infra/docker/tsconfig.json --outDir "$compiled"
# The command line is no part of a service.
rm -rf "$compiled/packages/cli"
for folder in packages/* services/* infra/initializer models; do
  [ -d "$compiled/$folder/src" ] || continue
  mkdir -p "$out/$folder"
  cp "$folder/package.json" "$out/$folder/"
  mv "$compiled/$folder/src" "$out/$folder/dist"
done
cp -r models/catalogue "$out/models/"
cp package.json pnpm-lock.yaml pnpm-workspace.yaml LICENSE "$out/"

echo "assemble: dependencies"
(cd "$out" && CI=true pnpm install --prod --frozen-lockfile --ignore-scripts --reporter=append-only >"$compiled/pnpm.log") ||
  { cat "$compiled/pnpm.log" >&2; exit 1; }

# What is read only when models are converted, which is done below, and what other platforms need.
rm -rf "$out"/node_modules/.pnpm/{@vladmandic+human,@gutenye+ocr-models}@*
platform=$(node -p 'process.platform') arch=$(node -p 'process.arch')
for bin in "$out"/node_modules/.pnpm/onnxruntime-node@*/node_modules/onnxruntime-node/bin/napi-v*; do
  find "$bin" -mindepth 1 -maxdepth 1 ! -name "$platform" -exec rm -rf {} +
  find "$bin/$platform" -mindepth 1 -maxdepth 1 ! -name "$arch" -exec rm -rf {} +
done
# Links to what has been removed.
find "$out" -xtype l -delete

echo "assemble: models"
node --disable-warning=ExperimentalWarning --input-type=module -e "
  const { ensureCatalogue } = await import('$PWD/models/src/index.ts');
  await ensureCatalogue({ directory: process.argv[1], onProgress: () => undefined });" "$out/catalogue"

echo "assemble: list of contents"
pnpm sbom --sbom-format cyclonedx --prod --lockfile-only --out "$out/sbom.cdx.json" >/dev/null
