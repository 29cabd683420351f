#!/usr/bin/env bash
# Builds the environment of the documents' site in .venv-docs, or leaves it alone when it already matches the pins. Run by
# `make docs`.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${DOCS_VENV:-.venv-docs}
. requirements/environment.sh
pins=(requirements/docs.txt)

wanted=$(pins_of requirements/docs.sh "${pins[@]}")
if matches "$wanted"; then
  exit 0
fi
make_venv
echo "setup: installing $(grep -c '==' "${pins[@]}") pinned packages"
pip --no-deps "${pins[@]/#/-r}"
echo "$wanted" >"$venv/.augrec-pins"
