"""Goes through one model's recorded training and compares every figure on the way."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from augrec.artefacts.errors import DataError
from benchmarks.result import Result
from benchmarks.rlmrec_parity.aligners import Alignment
from benchmarks.rlmrec_parity.backbone import Backbone, Recorded, Step
from benchmarks.rlmrec_parity.expected import Figures, ReleasedData
from recsys.batches.triplets import Triplets
from recsys.evaluation.ranking import evaluate
from recsys.models.build import build_model
from recsys.models.parts.graph_recommender import GraphRecommender
from recsys.models.registry import FAMILIES
from recsys.objectives.bpr import parameter_l2

RELATIVE, ABSOLUTE, METRICS = 1e-5, 1e-5, 1e-6
AROUND_ZERO = {"infomax": 1e-6}
"""Terms whose values may be near 0, and how far they may be off."""
TABLES = {"user_embeds": "user_embedding", "item_embeds": "item_embedding"}
WEIGHTED_TABLES = {f"{name}.weight": ours for name, ours in TABLES.items()}


class Replay:
    """One model.

    Args:
        backbone, aligner: what it consists of.
        data: the released files.
        figures: of the code.
    """

    def __init__(self, backbone: Backbone, aligner: Alignment, data: ReleasedData, figures: Figures) -> None:
        self.backbone, self.aligner, self.data, self.figures = backbone, aligner, data, figures
        self.names = {**TABLES, **WEIGHTED_TABLES, **backbone.parameters(figures), **aligner.parameters}
        self.model = self._built()
        self.terms = {**backbone.terms, **aligner.terms}
        row, column = figures.shared.get("graph/row"), figures.shared.get("graph/col")
        if row is None or column is None:
            raise DataError("'graph/row' and 'graph/col' are missing", where=figures.path)
        self.edge_order = np.lexsort((row, column))

    def _built(self) -> GraphRecommender:
        figures = self.figures
        given = {
            "family": self.backbone.family,
            "released": True,
            "dim": figures.of_model("embedding_size"),
            "l2": figures.of_model("reg_weight"),
            "aligner": self.aligner.options(figures),
            **self.backbone.options(figures),
        }
        family = FAMILIES.find(self.backbone.family)
        try:
            options = family.options.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            what = f"the settings of '{figures.model}' cannot be replayed: {key}: {first['msg']}"
            raise DataError(what, where=figures.path) from None
        generator = torch.Generator().manual_seed(0)  # every parameter is replaced
        model = build_model(self.data.dataset, self.data.side, options, generator)
        assert isinstance(model, GraphRecommender)
        state = {self.ours(name): torch.from_numpy(array) for name, array in figures.under("param/").items()}
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            what = f"the parameters of '{figures.model}' do not fit: {str(error).splitlines()[-1].strip()}"
            remedy = "give the folder from which the figures were made"
            raise DataError(what, where=figures.path, remedy=remedy) from None
        return model

    def ours(self, name: str) -> str:
        """Our name of a parameter."""
        if name not in self.names:
            raise DataError(f"'{self.figures.model}' has an unknown parameter '{name}'", where=self.figures.path)
        return self.names[name]

    def results(self) -> list[Result]:
        """Every comparison, in the order in which the code made its figures."""
        results = self._embeddings("forward") + self._metrics("metrics_init")
        results += self._training()
        trained = self.model.state_dict()
        for name, array in self.figures.under("trained/").items():
            results.append(self._judged(f"trained/{name}", difference(trained[self.ours(name)], array), ABSOLUTE))
        return results + self._embeddings("forward_trained") + self._metrics("metrics_trained")

    def _judged(self, name: str, value: float, limit: float, unit: str = "absolute") -> Result:
        return Result.at_most(f"{self.figures.model}/{name}", value, limit, unit)

    def _embeddings(self, prefix: str) -> list[Result]:
        expected = self.figures.under(f"{prefix}/")
        if not expected:
            return []
        self.model.eval()
        with torch.no_grad():
            users, items = self.model()
        found = {"user": users, "item": items}
        return [
            self._judged(f"{prefix}/{side}", relative(found[side], array), RELATIVE, "relative")
            for side, array in expected.items()
            if side in found
        ]

    def _metrics(self, prefix: str) -> list[Result]:
        cutoffs = [int(k) for k in self.figures.setting("test", "k")]
        self.model.train().eval()  # forget the kept embeddings
        results = []
        for split in ("valid", "test"):
            expected = self.figures.under(f"{prefix}/{split}/")
            if not expected:
                continue
            mean = evaluate(self.model.scorer("test"), self.data.dataset, split, cutoffs=cutoffs).mean
            for name, array in expected.items():
                found = torch.tensor([mean.get(f"{name}@{k}", float("nan")) for k in cutoffs], dtype=torch.float64)
                results.append(self._judged(f"{prefix}/{split}/{name}", difference(found, array), METRICS))
        return results

    def _training(self) -> list[Result]:
        """The recorded steps of Adam; figures of all steps are compared as one."""
        figures = self.figures
        optimiser = torch.optim.Adam(self.model.parameters(), lr=figures.setting("optimizer", "lr"))
        results: list[Result] = []
        terms: dict[str, list[float]] = {}
        norms: dict[str, list[float]] = {}
        number = unused = 0
        self.model.train()
        while f"batch/{number}" in figures.arrays:
            batch = self._batch(number)
            step = Step(figures, number, figures.under(f"draw/{number}/"), self.edge_order)
            if number == 0:
                results += self._first(step, batch)
            self.model.draw = draws = self._draws(step)
            self.model.before_step(number)
            optimiser.zero_grad()
            found = self.model.loss(batch)
            total = torch.stack(list(found.values())).sum()
            total.backward()
            results += self.backbone.derived(self.model, step)
            unused += len(draws.left)
            for name, value in {**found, "total": total}.items():
                terms.setdefault(self.terms.get(name, name), [0.0] * number).append(float(value.detach()))
            for values in terms.values():
                values += [0.0] * (number + 1 - len(values))  # a term that this step has not
            for name, parameter in self.model.named_parameters():
                gradient = torch.zeros(()) if parameter.grad is None else parameter.grad
                norms.setdefault(name, []).append(float(gradient.norm()))
            optimiser.step()
            number += 1
        results.append(self._judged("draws that are not used", unused, 0, "draws"))
        for name, array in figures.under("loss/").items():
            unit, limit = ("absolute", AROUND_ZERO[name]) if name in AROUND_ZERO else ("relative", RELATIVE)
            difference = apart(terms.get(name, []), array, relatively=unit == "relative")
            results.append(self._judged(f"loss/{name}", difference, limit, unit))
        for name, array in figures.under("grad_norm/").items():
            difference = apart(norms.get(self.ours(name), []), array)
            results.append(self._judged(f"grad_norm/{name}", difference, RELATIVE, "relative"))
        return results

    def _batch(self, number: int) -> Triplets:
        user, positive, negative = torch.from_numpy(self.figures.get(f"batch/{number}").astype(np.int64))
        return Triplets(user, positive, negative, None, len(user))

    def _draws(self, step: Step) -> Recorded:
        where = f"{self.figures.path}, {self.figures.model}, step {step.number}"
        return Recorded({**self.backbone.queues(step), **self.aligner.queues(step)}, where)

    def _first(self, step: Step, batch: Triplets) -> list[Result]:
        """Embeddings and parts of the first step; the draws of it are used a second time for its losses."""
        model = self.model
        model.draw = self._draws(step)
        model.before_step(0)
        with torch.no_grad():
            passed = model.propagate(model.aligner.start(model.table(), model.draw), model.draw)
            own: dict[str, list[Tensor]] = {}
            own["reg"] = [parameter_l2(model.parameters())]
            terms = model.terms(passed, batch)
            if "bpr" in terms:
                own["bpr"] = [terms["bpr"] * len(batch)]
            model.draw = self._draws(step)
            for parts in (
                self.backbone.parts(model, passed, batch),
                self.aligner.parts(model.aligner, passed.final, batch, model.draw),
            ):
                for name, values in parts.items():
                    own.setdefault(name, []).extend(values)
        results = [
            self._judged(
                f"part/{name}", apart([float(value) for value in own.get(name, [])], array), RELATIVE, "relative"
            )
            for name, array in self.figures.under("part/").items()
        ]
        found = {"user": passed.final.users, "item": passed.final.items}
        return results + [
            self._judged(f"train_forward/{side}", relative(found[side], array), RELATIVE, "relative")
            for side, array in self.figures.under("train_forward/").items()
        ]


def relative(found: Tensor, expected: np.ndarray) -> float:
    """The largest difference over the largest expected magnitude."""
    return difference(found, expected) / max(float(np.abs(expected).max(initial=0.0)), 1e-30)


def difference(found: Tensor, expected: np.ndarray) -> float:
    """The largest difference; infinite where the shapes differ."""
    values = found.detach().double().numpy()
    if values.shape != expected.shape:
        return float("inf")
    return float(np.abs(values - expected.astype(np.float64)).max(initial=0.0))


def apart(found: list[float], expected: np.ndarray, *, relatively: bool = True) -> float:
    """The largest difference between two lists of numbers, each over its expected magnitude unless told otherwise."""
    if len(found) != len(np.atleast_1d(expected)):
        return float("inf")
    differences = np.abs(np.array(found) - expected)
    return float(np.max(differences / np.maximum(np.abs(expected), 1e-30) if relatively else differences, initial=0.0))
