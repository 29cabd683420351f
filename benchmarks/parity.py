"""Is our LLMRec the published one? Replays figures that the reference implementation printed.

    python -m benchmarks.parity RELEASE_DIR EXPECTED_NPZ [--json FILE]

RELEASE_DIR has the released layout, EXPECTED_NPZ the reference's initial parameters, outputs, losses, batches, trained
parameters and metrics, and its settings as JSON. Exit status: 0 within tolerance, 1 not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from augrec.artefacts.errors import AugrecError, DataError
from augrec.artefacts.options import Options
from benchmarks.result import Result, add_json_option, report, run
from recsys.batches.triplets import Triplets
from recsys.data.released.reader import Release, read_release
from recsys.evaluation.ranking import evaluate
from recsys.models.llmrec import LLMRec
from recsys.models.options.llmrec import LLMRecOptions

FORWARD, LOSS, PARAMETERS, METRICS = 1e-5, 1e-5, 1e-5, 1e-6
LAYERS = {"image_trans": "modality/image", "text_trans": "modality/text", "user_trans": "profile/profile"}
SHARED_LAYER = ("item_trans", "attribute")
TABLES = {"user_id_embedding.weight": "user_embedding", "item_id_embedding.weight": "item_embedding"}
METRIC_NAMES = {"precision": "precision", "recall": "recall", "ndcg": "ndcg", "hit_ratio": "hit_rate"}
NO_AUC = "not compared: nothing describes which AUC the reference means; its figure here is {:g}"

Arrays = Mapping[str, np.ndarray]


class Hyper(Options, extra="ignore"):
    """The reference's settings, under its own names."""

    lr: float
    drop_rate: float
    model_cat_rate: float
    user_cat_rate: float
    item_cat_rate: float
    prune_loss_drop_rate: float
    aug_mf_rate: float
    mm_mf_rate: float
    feat_reg_decay: float
    mask_rate: float
    batch_size: int
    adamw_weight_decay: float
    regs: str
    Ks: str


def compare(folder: Path, expected: Path) -> list[Result]:
    """Every comparison, in the order the reference made its figures.

    Raises:
        AugrecError: a file is missing or malformed, or its settings cannot be replayed.
    """
    arrays = _arrays(expected)
    hyper = _hyper(arrays, expected)
    release = read_release(folder)
    for finding in release.findings:
        print(f"note: {finding}")
    dim = _get(arrays, "init/user_id_embedding.weight", expected).shape[1]
    model = _model(release, hyper, dim)
    _load(model, _under("init/", arrays), expected)
    results = _forward(model, arrays)
    if _under("loss/", arrays):
        results += _losses(model, hyper, arrays, expected)
    results += _metrics("metrics_init", model, release, hyper, arrays)
    if _under("train/", arrays):
        _replay(model, hyper, arrays, expected)
        results += _parameters(model, _under("trained/", arrays))
        results += _metrics("metrics_trained", model, release, hyper, arrays)
    if not any(result.ok is not None for result in results):
        raise DataError("there is nothing to compare", where=expected)
    return results


def _arrays(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError("the file does not exist", where=path) from None
    except Exception as error:  # zip, header and pickle errors alike
        raise DataError(f"the file is not a readable .npz of numbers ({error})", where=path) from None


def _get(arrays: Arrays, name: str, path: Path) -> np.ndarray:
    if name not in arrays:
        raise DataError(f"the array {name!r} is missing", where=path)
    return arrays[name]


def _under(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _hyper(arrays: Arrays, path: Path) -> Hyper:
    try:
        hyper = Hyper.model_validate_json(str(_get(arrays, "hyper", path)))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "hyper"
        raise DataError(f"the settings in 'hyper' are not usable: {key}: {first['msg']}", where=path) from None
    for name, why in (("drop_rate", "random dropout"), ("mask_rate", "randomly masked features")):
        if getattr(hyper, name) > 0:
            raise AugrecError(
                f"{name} is {getattr(hyper, name):g}: {why} cannot be replayed",
                where=path,
                remedy=f"print the reference's figures with {name}=0",
            )
    return hyper


def _list(text: str, name: str) -> list[float]:
    try:
        return [float(value) for value in json.loads(text)]
    except (ValueError, TypeError):
        raise DataError(f"the setting {name} is not a list of numbers: {text!r}") from None


def _model(release: Release, hyper: Hyper, dim: int) -> LLMRec:
    options = LLMRecOptions(
        dim=dim,
        modality_scale=hyper.model_cat_rate,
        profile_scale=hyper.user_cat_rate,
        attribute_scale=hyper.item_cat_rate,
        prune_rate=hyper.prune_loss_drop_rate,
        attribute_bpr=hyper.aug_mf_rate,
        modality_bpr=hyper.mm_mf_rate,
        feature_reg=hyper.feat_reg_decay,
        l2="inverted",
        l2_weight=_list(hyper.regs, "regs")[0],
    )
    dataset = release.dataset
    generator = torch.Generator().manual_seed(0)  # every parameter is replaced
    return LLMRec(release.graph, dataset.n_users, dataset.n_items, release.side, options, generator)


def _named(parameters: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The reference's parameters under our names, without those (batch norm, decoder) that are no part of the model."""
    named = {}
    for name, array in parameters.items():
        layer, _, kind = name.rpartition(".")
        if name in TABLES:
            named[TABLES[name]] = torch.from_numpy(array)
        elif layer == SHARED_LAYER[0]:
            named[f"layers.{SHARED_LAYER[1]}.{kind}"] = torch.from_numpy(array)
        elif layer in LAYERS:
            named[f"layers.{LAYERS[layer]}.{kind}"] = torch.from_numpy(array)
    return named


def _load(model: LLMRec, parameters: Mapping[str, np.ndarray], path: Path) -> None:
    try:
        model.load_state_dict(_named(parameters))
    except RuntimeError as error:
        raise DataError(
            f"the parameters under 'init/' do not fit the released files: {str(error).splitlines()[-1].strip()}",
            where=path,
            remedy="give the folder from which the figures were made",
        ) from None


def _forward(model: LLMRec, arrays: Arrays) -> list[Result]:
    model.eval()
    with torch.no_grad():
        p = model.propagate()
    found = {"final_user": p.users, "final_item": p.items}
    groups = {"modality": (p.modality_users, p.modality_items), "profile": (p.profile_users, p.profile_items)}
    groups["attribute"] = (p.attribute_users, p.attribute_items)
    for group, sides in groups.items():
        for side, tensor in zip(("user", "item"), sides, strict=True):
            for position, key in enumerate(model.groups[group]):
                name = key.removeprefix(f"{group}/")
                found[f"attribute_{side}/{name}" if group == "attribute" else f"{name}_{side}"] = tensor[:, position]
    results = []
    for name, array in _under("forward/", arrays).items():
        if name.replace(".", "/") not in found:
            results.append(Result.unjudged(f"forward/{name}", None, "", "not compared: no such output here"))
            continue
        results.append(
            Result.at_most(f"forward/{name}", _relative(found[name.replace(".", "/")], array), FORWARD, "relative")
        )
    return results


def _relative(found: Tensor, expected: np.ndarray) -> float:
    """The largest difference over the largest expected magnitude."""
    return _difference(found, expected) / max(float(np.abs(expected).max(initial=0.0)), 1e-30)


def _difference(found: Tensor, expected: np.ndarray) -> float:
    values = found.detach().double().numpy()
    if values.shape != expected.shape:
        raise DataError(f"an array has shape {list(expected.shape)} in the reference and {list(values.shape)} here")
    return float(np.abs(values - expected.astype(np.float64)).max(initial=0.0))


def _batches(prefix: str, hyper: Hyper, arrays: Arrays, path: Path) -> list[Triplets]:
    parts = [np.atleast_2d(_get(arrays, f"{prefix}/{name}", path)) for name in ("users", "positives", "negatives")]
    if len({part.shape for part in parts}) > 1:
        raise DataError(f"users, positives and negatives under {prefix!r} differ in shape", where=path)
    batches = []
    for rows in zip(*parts, strict=True):
        used = rows[0] >= 0
        user, positive, negative = (torch.from_numpy(part[used].astype(np.int64)) for part in rows)
        batches.append(Triplets(user, positive, negative, None, min(hyper.batch_size, len(user))))
    return batches


def _losses(model: LLMRec, hyper: Hyper, arrays: Arrays, path: Path) -> list[Result]:
    """Each term. The reference printed the sums of auxiliary terms without their weights."""
    (batch,) = _batches("batch", hyper, arrays, path)
    model.eval()
    own = model.options
    with torch.no_grad():
        terms = model.loss(batch)
        model.options = own.model_copy(update={"attribute_bpr": 1.0, "modality_bpr": 1.0})
        unweighted = model.loss(batch)
    model.options = own
    zero = torch.zeros(())
    found = {
        "bpr": terms["bpr"],
        "inverse_l2": terms["l2"],
        "feature_reg": terms.get("feature_reg", zero),
        "attribute_bpr_sum": unweighted.get("attribute_bpr", zero),
        "modality_bpr_sum": unweighted.get("modality_bpr", zero),
        "total": torch.stack(list(terms.values())).sum(),
    }
    return [
        Result.at_most(f"loss/{name}", _relative(found[name], array), LOSS, "relative")
        if name in found
        else Result.unjudged(f"loss/{name}", None, "", "not compared: no such term here")
        for name, array in _under("loss/", arrays).items()
    ]


def _replay(model: LLMRec, hyper: Hyper, arrays: Arrays, path: Path) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=hyper.lr, weight_decay=hyper.adamw_weight_decay)
    model.train()
    for batch in _batches("train", hyper, arrays, path):
        optimiser.zero_grad()
        torch.stack(list(model.loss(batch).values())).sum().backward()
        optimiser.step()


def _parameters(model: LLMRec, trained: Mapping[str, np.ndarray]) -> list[Result]:
    state = model.state_dict()
    return [
        Result.at_most(f"trained/{name}", _difference(state[name], array.numpy()), PARAMETERS, "absolute")
        for name, array in _named(trained).items()
    ]


def _metrics(prefix: str, model: LLMRec, release: Release, hyper: Hyper, arrays: Arrays) -> list[Result]:
    expected = _under(f"{prefix}/", arrays)
    if not expected:
        return []
    cutoffs = [int(k) for k in _list(hyper.Ks, "Ks")]
    model.eval()
    mean = evaluate(model.scorer("test"), release.dataset, "test", cutoffs=cutoffs, official=True).mean
    results = []
    for name, array in expected.items():
        if name not in METRIC_NAMES:
            reason = NO_AUC.format(float(array)) if name == "auc" else "not compared: no such metric here"
            results.append(Result.unjudged(f"{prefix}/{name}", None, "", reason))
            continue
        found = torch.tensor([mean[f"{METRIC_NAMES[name]}@{k}"] for k in cutoffs], dtype=torch.float64)
        results.append(Result.at_most(f"{prefix}/{name}", _difference(found, array), METRICS, "absolute"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("release", type=Path, metavar="RELEASE_DIR", help="folder in LLMRec's released layout")
    parser.add_argument("expected", type=Path, metavar="EXPECTED_NPZ", help="figures of the reference implementation")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    return report("LLMRec against the reference implementation", compare(given.release, given.expected), given.json)


if __name__ == "__main__":
    run(main)
