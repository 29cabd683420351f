#!/usr/bin/env bash
# Builds the environment of instruction tuning in .venv-tune, or leaves it alone when it already matches the pins. Run by
# `make tune-env`. With an NVIDIA GPU it gets the CUDA build of torch, else the CPU build. augrec is not installed into
# it: the stage `tune` lends it the modules it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${TUNE_VENV:-.venv-tune}
. requirements/environment.sh
pins=(requirements/tune.txt)

wanted=$(pins_of requirements/tune.sh "${pins[@]}" requirements/cpu.constraints)
if matches "$wanted"; then
  exit 0
fi
make_venv
if nvidia-smi --list-gpus >/dev/null 2>&1; then
  torch=$(grep -o '^torch==[0-9.]*' requirements/cpu.constraints)
  echo "setup: $torch for CUDA, with what it needs"
  pip "$torch"
else
  install_cpu_torch
fi
echo "setup: installing $(grep -c '==' "${pins[@]}") pinned packages"
pip --no-deps "${pins[@]/#/-r}"
echo "$wanted" >"$venv/.augrec-pins"
echo "setup: $venv is ready; the stage tune finds it, or name it: tune.python, or AUGREC_TUNE_PYTHON"
