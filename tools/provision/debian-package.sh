#!/usr/bin/env bash
# Downloads one Debian package and unpacks it into STATE/deb/NAME without installing it: an installed nats-server
# would be enabled as an open broker on port 4222. Works unprivileged and with empty system package lists, because
# lists, cache and state are folders of its own below STATE/apt.
# usage: debian-package.sh NAME STATE_DIR. Prints nothing on success.
set -euo pipefail
name=$1 state=$2
target=$state/deb/$name
[ -e "$target/.complete" ] && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "this is not a Debian system: cannot download the package $name" >&2
  exit 3
fi
apt=$state/apt
work=$(mktemp -d "${TMPDIR:-/tmp}/meridian-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$state/deb"
quiet=(-qq -o APT::Sandbox::User=root -o Acquire::Retries=3)
own=(-o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache")
cd "$work"
fetch() {
  apt-get "${quiet[@]}" download "$name" 2>>"$work/log" ||
    apt-get "${quiet[@]}" "${own[@]}" download "$name" 2>>"$work/log" ||
    { apt-get "${quiet[@]}" "${own[@]}" update 2>>"$work/log" && apt-get "${quiet[@]}" "${own[@]}" download "$name" 2>>"$work/log"; }
}
if ! fetch >/dev/null; then
  cat "$work/log" >&2
  echo "could not download Debian's package $name" >&2
  exit 1
fi
rm -rf "$target" && mkdir -p "$target"
dpkg-deb -x "$work/$name"_*.deb "$target"
touch "$target/.complete"
