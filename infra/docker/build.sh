#!/usr/bin/env bash
# Builds the images meridian/service and meridian/broker with docker, podman or buildah, whichever is there first.
# usage: build.sh. Variables: TAG (default: the version of package.json), REGISTRY (put before the names), CA_FILE (an
# authority that the build trusts for its downloads), BUILDER (docker, podman or buildah), BUILD_OPTIONS (for the builder).
set -euo pipefail
cd "$(dirname "$0")/../.."
builder=${BUILDER:-}
for candidate in docker podman buildah; do
  [ -n "$builder" ] && break
  if command -v "$candidate" >/dev/null; then builder=$candidate; fi
done
command -v "${builder:-none}" >/dev/null || { echo "make images needs docker, podman or buildah on PATH" >&2; exit 1; }
tag=${TAG:-$(node -p 'require("./package.json").version')}
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
authority=infra/docker/no-authority.pem
if [ -n "${CA_FILE:-}" ]; then
  [ -r "$CA_FILE" ] || { echo "CA_FILE: cannot read $CA_FILE" >&2; exit 1; }
  authority=infra/docker/authority.local.pem
  trap 'rm -f "$authority"' EXIT
  cp "$CA_FILE" "$authority"
fi
for target in service broker; do
  echo "images: ${REGISTRY:-}meridian/$target:$tag with $builder"
  # shellcheck disable=SC2086 # several options
  "$builder" build ${BUILD_OPTIONS:-} --file infra/docker/Dockerfile --target "$target" \
    --build-arg "CA_FILE=$authority" --build-arg "REVISION=$revision" --build-arg "VERSION=$tag" \
    --tag "${REGISTRY:-}meridian/$target:$tag" .
done
