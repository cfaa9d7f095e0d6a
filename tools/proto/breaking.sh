#!/usr/bin/env bash
# Refuses proto changes that users of the released wire cannot take: proto/released.binpb holds its descriptors.
# `tools/proto/breaking.sh release` takes today's protos as released; from then on their additions are kept, too.
set -euo pipefail
cd "$(dirname "$0")/../../proto"
buf breaking --against released.binpb
if [ "${1:-}" = release ]; then buf build --exclude-source-info -o released.binpb; fi
