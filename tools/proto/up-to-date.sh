#!/usr/bin/env bash
# Generates the code of the proto files into a temporary folder and compares it with what is committed.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sed "s#out: .*#out: $out/gen#" proto/buf.gen.yaml >"$out/buf.gen.yaml"
(cd proto && buf generate --template "$out/buf.gen.yaml")
if ! diff -r "$out/gen" packages/contracts/src/gen >/dev/null; then
  echo "packages/contracts/src/gen is not what proto/ gives: run 'cd proto && buf generate' and commit the result" >&2
  exit 1
fi
