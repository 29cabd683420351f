#!/usr/bin/env bash
# The optional torch-sparse backend, compiled once for this Python and torch: the wheels are kept in the cache folder, so that
# another environment, or the next run of the continuous integration, installs them in seconds.
#
#   requirements/sparse.sh          compile where no wheels are kept, then install
#   requirements/sparse.sh wheels   compile only
set -euo pipefail
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
wanted=requirements/sparse.txt

if [ "${1:-}" != wheels ] && "$python" -c 'import torch_sparse' 2>/dev/null; then
  exit 0
fi
build=$("$python" -c 'import platform, sys, torch
print(f"torch-{torch.__version__}-{sys.implementation.cache_tag}-{platform.machine()}")')
wheels=${AUGREC_CACHE:-$HOME/.cache/augrec}/wheels/$(sha256sum <"$wanted" | cut -c1-12)-$build
mkdir -p "$wheels"
export PIP_DISABLE_PIP_VERSION_CHECK=1 FORCE_ONLY_CPU=1

# One after the other and renamed when whole: what is compiled stays, also when the rest is stopped.
for requirement in $(grep '==' "$wanted"); do
  name=$(echo "${requirement%%==*}" | tr - _)
  if ! compgen -G "$wheels/${name}-*.whl" >/dev/null; then
    echo "sparse: compiling $requirement (some minutes), kept in $wheels" >&2
    half=$(mktemp -d "$wheels/.half.XXXXXX")
    trap 'rm -rf "$half"' EXIT
    "$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$half" "$requirement"
    mv "$half"/*.whl "$wheels/"
    rm -rf "$half"
  fi
done
if [ "${1:-}" != wheels ]; then
  "$python" -m pip install --quiet --no-deps --no-index --find-links "$wheels" -r "$wanted"
fi
