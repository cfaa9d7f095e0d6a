#!/usr/bin/env bash
# Refuses proto changes that readers of the last released wire cannot take. The base is the newest tag `wire-*`; while
# there is none the wire is not released and may change.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=$(git tag --list 'wire-*' --sort=-creatordate | head -n 1)
[ -n "$base" ] || exit 0
(cd proto && buf breaking --against "../.git#tag=$base,subdir=proto")
