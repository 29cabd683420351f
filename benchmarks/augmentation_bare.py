"""One call of `LLM.generate` over a file of requests: what a script of twenty lines would do.

python -m benchmarks.augmentation_bare BATCH SETTINGS RESULTS
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main(batch: Path, settings: Path, results: Path) -> None:
    """Answers a batch file; results in the same format."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    from vllm import LLM

    lines = [json.loads(line) for line in batch.read_text(encoding="utf-8").splitlines()]
    llm = LLM(**json.loads(settings.read_text(encoding="utf-8")))
    bodies = [line["body"] for line in lines]
    outputs = llm.chat([body["messages"] for body in bodies], [parameters(body) for body in bodies], use_tqdm=False)
    with results.open("w", encoding="utf-8") as out:
        for line, found in zip(lines, outputs, strict=True):
            out.write(json.dumps(result(line["custom_id"], found.outputs[0].text)) + "\n")


def parameters(body: dict[str, Any]) -> Any:
    """Sampling and schema of a request's body in vLLM's terms."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    return SamplingParams(
        temperature=body["temperature"],
        top_p=body["top_p"],
        top_k=body["top_k"],
        repetition_penalty=body["repetition_penalty"],
        seed=body["seed"],
        max_tokens=body["max_tokens"],
        structured_outputs=StructuredOutputsParams(json=body["response_format"]["json_schema"]["schema"]),
    )


def result(name: str, text: str) -> dict[str, Any]:
    """A line of batch results."""
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    return {"custom_id": name, "response": {"status_code": 200, "body": body}, "error": None}


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
