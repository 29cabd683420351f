"""Whether every parameter of a model comes from its files, as transformers reports it.

transformers fills what the files lack with random numbers, warns on stderr, and goes on. On torch's device "meta" it
reads headers alone, so a model of any size is compared with its files in tenths of a second.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.model_files import is_quantised

SHOWN = 5
_LAYER = re.compile(r"(?P<prefix>.*\b(?:layers|layer|h|blocks))\.(?P<number>\d+)\.")


@dataclass(frozen=True)
class Parameters:
    """What a model consists of."""

    shapes: dict[str, tuple[int, ...]]
    """Of every parameter, by its name in transformers."""
    fault: str
    """What is wrong with the files, in words; "" where every parameter is in them."""


def read_parameters(
    folder: Path, kind: str = "AutoModelForCausalLM", *, unused: Callable[[str], bool] = lambda name: False
) -> Parameters | None:
    """The parameters of a model folder, compared with its files without reading a weight.

    Args:
        folder: in Hugging Face format.
        kind: the class of transformers that loads it.
        unused: which parameters play no part in what the model is loaded for, and may be missing.

    Returns:
        None where transformers cannot tell: weights that are quantised, whose files name other tensors than the model
        has, architectures that it does not know, and code that came with the model.
    """
    if is_quantised(folder):
        return None
    import transformers
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        with _silent():
            model, report = getattr(transformers, kind).from_pretrained(
                str(folder),
                local_files_only=True,
                device_map="meta",
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except SafetensorError as error:
        return Parameters({}, f"a file of weights cannot be read ({error})")
    except (StrictDataclassError, ArithmeticError) as error:
        return Parameters({}, f"no model can be made of config.json ({' '.join(str(error).split())[:200]})")
    except (ValueError, OSError, ImportError, KeyError, AttributeError, RuntimeError, NotImplementedError):
        return None
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    return Parameters(shapes, faults(report, unused) or _surplus(report, shapes, model.config))


def faults(report: Mapping[str, Any], unused: Callable[[str], bool] = lambda name: False) -> str:
    """What a loading report of transformers says is wrong, in words; "" where every parameter came from the file.

    Tied weights and buffers that are computed do not count: transformers leaves them out of its report.

    Args:
        report: what `from_pretrained(output_loading_info=True)` returns beside the model.
        unused: which parameters may be missing.
    """
    said = []
    missing = sorted(name for name in report.get("missing_keys") or () if not unused(name))
    misshapen = sorted(str(key[0] if isinstance(key, tuple) else key) for key in report.get("mismatched_keys") or ())
    if missing:
        said.append(f"{len(missing)} of the model's parameters are not in it ({_some(missing)})")
    if misshapen:
        said.append(f"{len(misshapen)} have another shape than the model's ({_some(misshapen)})")
    if report.get("error_msgs"):
        said.append(f"some could not be read ({_some([str(message) for message in report['error_msgs']])})")
    return "; ".join(said)


def _surplus(report: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], config: Any) -> str:
    """What is said of layers that the files hold and the model has not, in words; "" where there are none.

    A config of fewer layers makes a model that ends in the middle. Layers that only help to train, or draft tokens
    (DeepSeek's), are counted by `num_nextn_predict_layers`.
    """
    depth = getattr(config, "num_hidden_layers", None)
    if not isinstance(depth, int):
        return ""
    prefixes = {found["prefix"] for name in shapes if (found := _LAYER.match(name))}
    more = {
        int(found["number"])
        for name in report.get("unexpected_keys") or ()
        if (found := _LAYER.match(name)) and (not prefixes or found["prefix"] in prefixes)
    }
    more = {number for number in more if number >= max(depth, 0)}
    if len(more) <= int(getattr(config, "num_nextn_predict_layers", 0) or 0):
        return ""
    return f"the files hold {max(more) + 1} layers, and config.json says {depth} (num_hidden_layers)"


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """transformers prints the whole report; what counts of it is in the error."""
    from transformers.utils import logging

    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
