#!/usr/bin/env bash
# Submits a run as a chain of SLURM jobs: slurm/submit.sh CONFIG [KEY=VALUE]... [--profile FILE] [--dry-run]
# Takes augrec from $AUGREC, else from the environment beside this folder (make setup), else from PATH.
set -euo pipefail

beside="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)/.venv/bin/augrec"
if [ -n "${AUGREC:-}" ]; then
    augrec="$AUGREC"
elif [ -x "$beside" ]; then
    augrec="$beside"
elif ! augrec="$(command -v augrec)"; then
    echo "submit.sh: augrec is not installed here: run 'make setup', activate its environment, or set AUGREC" >&2
    exit 2
fi
exec "$augrec" submit "$@"
