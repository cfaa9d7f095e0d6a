#!/usr/bin/env bash
# Puts Node 24 and pnpm into STATE/toolchain unless they are there, and prints the folder to put first on PATH.
# usage: install.sh STATE_DIR. Writes nothing outside STATE_DIR; runs no package's script.
set -euo pipefail
state=$1
here=$(cd "$(dirname "$0")" && pwd)
want=$(sha256sum <"$here/package-lock.json" 2>/dev/null || shasum -a 256 <"$here/package-lock.json")
target=$state/toolchain

major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
if [ "$major" -lt 20 ] || ! command -v npm >/dev/null; then
  echo "meridian needs node 20 or later, with npm, to start from (found: $(node -v 2>/dev/null || echo none)). Install nodejs and npm, then run make again." >&2
  exit 1
fi
if [ ! -f "$target/.lock" ] || [ "$(cat "$target/.lock")" != "$want" ]; then
  echo "toolchain: node 24 and pnpm into $target" >&2
  rm -rf "$target" && mkdir -p "$target"
  cp "$here/package.json" "$here/package-lock.json" "$target/"
  # `npm install`, not `npm ci`: some of pnpm's platform packages are not in every registry, which ci refuses. The
  # lock file's integrity hashes are checked all the same.
  (cd "$target" && npm install --ignore-scripts --no-audit --no-fund --no-save >npm.log 2>&1) || {
    cat "$target/npm.log" >&2
    echo "toolchain: npm could not fetch node 24 and pnpm. Is the npm registry reachable?" >&2
    exit 1
  }
  printf '%s' "$want" >"$target/.lock"
fi
if [ ! -x "$target/node_modules/.bin/node" ] && [ "$major" -lt 24 ]; then
  echo "meridian runs on node 24, of which there is no package for this system ($(uname -sm)); node $(node -v) is here. Install node 24, then run make again." >&2
  exit 1
fi
echo "$target/node_modules/.bin"
