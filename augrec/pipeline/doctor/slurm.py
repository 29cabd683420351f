"""Whether jobs can be submitted from here: SLURM's programs, its controller, and munge, which proves who asks."""

from __future__ import annotations

import shutil
import subprocess

from augrec.artefacts.visible import one_line
from augrec.pipeline.doctor.rows import Row, program

SECONDS = 2.0
"""How long the controller and munge may take to answer."""
ELSEWHERE = "submit from a login node of the cluster; without SLURM: augrec run CONFIG --workers N"


def slurm_rows() -> list[Row]:
    """What `slurm/submit.sh` needs; nothing else in this project needs any of it."""
    controller = _controller()
    return [
        program("sbatch", ("sbatch",), ELSEWHERE),
        program("scontrol", ("scontrol",), ELSEWHERE),
        controller,
        _munge(needed=controller.state != "ok"),
    ]


def _controller() -> Row:
    name = "controller"
    if shutil.which("scontrol") is None:
        return Row(name, "info", "not asked, because scontrol is not on PATH")
    answer = _output(["scontrol", "ping"])
    if answer is None:
        remedy = "scontrol ping   (is slurmctld running, and does SLURM_CONF name the right file?)"
        return Row(name, "wrong", f"does not answer within {SECONDS:g} s", remedy)
    lines = [one_line(line, 200) for line in answer.splitlines() if line.strip()] or ["no answer"]
    up = next((line for line in lines if " is UP" in line), None)  # sites greet before it
    if up is None:
        said = next((line for line in lines if line.startswith("Slurmctld")), lines[0])
        return Row(name, "wrong", said, "start slurmctld, or ask those who run the cluster")
    return Row(name, "ok", up)


def _munge(needed: bool) -> Row:
    """A cluster whose controller answers may authenticate in another way; then munge need not be here."""
    if shutil.which("munge") is None:
        if needed and shutil.which("scontrol"):
            return Row("munge", "missing", "not on PATH", "apt-get install -y munge, with the cluster's own key")
        return Row("munge", "info", "not on PATH, and not needed so far")
    if _output(["munge", "--no-input"], successful=True) is None:
        return Row("munge", "wrong", "gives out no credential", "start munged; it needs the key that all nodes share")
    return Row("munge", "ok", "gives out credentials")


def _output(command: list[str], *, successful: bool = False) -> str | None:
    """What a program prints; None where it takes too long, cannot run, or fails and must not."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=successful, timeout=SECONDS
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout + done.stderr
