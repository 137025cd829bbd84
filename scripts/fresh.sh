#!/bin/sh
# Prove what a stranger is promised: a clean clone, `make demo` twice, the second time without a network.
#
#   scripts/fresh.sh                     with ARGS=--exit
#   PYTHON=python3.12 scripts/fresh.sh   with another Python
#
# Only committed files count. Nothing of the caller's environment gets in but PYTHON and what pip needs
# to reach its registry (its own PIP_* settings).
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd)
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT INT TERM
python=$(command -v "${PYTHON:-python3}")
git clone -q "$tree" "$away/lockgate"
mkdir "$away/home"
cd "$away/lockgate"

clean() {
	# shellcheck disable=SC2046
	env -i HOME="$away/home" PATH=/usr/local/bin:/usr/bin:/bin TERM="${TERM:-dumb}" \
		$(env | grep '^PIP_' | tr '\n' ' ') "$@"
}

echo "== first time, with $("$python" -V)"
began=$(date +%s)
clean make demo PYTHON="$python" ARGS="${ARGS:---exit}"
echo "== took $(($(date +%s) - began)) s; once more, offline"

began=$(date +%s)
if unshare -rn sh -c 'ip link set lo up' 2>/dev/null; then
	clean unshare -rn sh -c 'ip link set lo up && exec make demo PYTHON="$0" ARGS="$1"' "$python" "${ARGS:---exit}"
else # no namespaces here: point every way out at a closed port
	clean PIP_NO_INDEX=1 http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1,localhost \
		make demo PYTHON="$python" ARGS="${ARGS:---exit}"
fi
echo "== took $(($(date +%s) - began)) s"
