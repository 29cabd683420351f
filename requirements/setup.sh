#!/usr/bin/env bash
# Builds the CPU environment in .venv, or leaves it alone when it already matches the pins. Run by `make`.
# Needs Python 3.11 or newer with venv; no sudo, no compiler, no GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
. requirements/environment.sh
pins=(requirements/cpu.txt requirements/dev.txt requirements/parts.txt)

wanted=$(pins_of requirements/setup.sh "${pins[@]}" requirements/cpu.constraints pyproject.toml)
if matches "$wanted"; then
  exit 0
fi
make_venv
install_cpu_torch
echo "setup: installing $(cat "${pins[@]}" | grep -c '==') pinned packages (a few minutes the first time)"
pip --no-deps "${pins[@]/#/-r}"
pip --no-deps --editable .
echo "$wanted" >"$venv/.augrec-pins"
echo "setup: done"
