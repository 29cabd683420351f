"""Everything that a comparison found: what compare.json holds, and what its two pages are made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue, TypeAdapter, ValidationError

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.study_folder import ComparisonFolder
from augrec.report.measures.agreement import Agreement
from augrec.report.measures.alignment import Alignment
from augrec.report.measures.consistency import Consistency
from augrec.report.measures.cost import Cost, Gain
from augrec.report.measures.coverage import Coverage
from augrec.report.measures.downstream import GroupSize, Judgement
from augrec.report.measures.edge_worth import EdgeWorth
from augrec.report.measures.examples import UserExample
from augrec.report.measures.intrinsic import Intrinsic
from augrec.report.measures.leak import Leak
from augrec.report.measures.local_models import LocalModel
from augrec.report.measures.memorisation import Memorisation
from augrec.report.measures.position import Position
from augrec.report.measures.reranking import Reranking
from augrec.report.measures.spending import Spending
from augrec.report.numbers.comparison import describe_family
from augrec.report.render.safe_text import cleaned

SCHEMA = 6
COMPARE_AGAIN = "run `augrec compare` again with this version"

Kind = Literal["published", "llm", "rule", "control", "none"]


@dataclass(frozen=True)
class ArmFacts:
    """One arm: what it is, what wrote its texts, and what was done to them.

    Attributes:
        name, title: the key in the config, and the name shown.
        kind: see `LEGEND` in `legend.py`.
        source, model: whose texts, and what wrote them; None without.
        change: task -> how its answers were treated, where that is not as they are.
        users: how many users the source was asked about, or the arm is given the texts of; None for all.
        users_by: in which order they were chosen; None for all.
        lists_of: the arm whose lists it has in another order; None where a recommender was given something.
        note: what a reader has to know of it.
    """

    name: str
    title: str
    kind: Kind
    source: str | None
    model: str | None
    change: dict[str, str]
    users: int | None
    note: str | None
    users_by: str | None = None
    lists_of: str | None = None


@dataclass(frozen=True)
class RecommenderFacts:
    """One recommender, and the option that was tuned for every arm alike."""

    name: str
    title: str
    family: str
    scale_option: str
    scales: tuple[float, ...]


@dataclass(frozen=True)
class DataFacts:
    """The data set, as `dataset.json` describes it; `profiled_users` were asked about by every source, None for all."""

    name: str | None
    licence: str | None
    counts: dict[str, int] | None
    protocol: dict[str, JsonValue] | None
    profiled_users: int | None


@dataclass(frozen=True)
class Headline:
    """The first sentence, the numbers behind it, and further sentences."""

    lead: str
    evidence: str
    details: tuple[str, ...]


@dataclass(frozen=True)
class Embedding:
    """The model that encoded the texts."""

    model: str | None
    sha256: str | None


@dataclass(frozen=True)
class StageTime:
    """How long a stage took, None where it did not run."""

    stage: str
    seconds: float | None


@dataclass(frozen=True)
class Provenance:
    """What a comparison was made from, where, and how to make it again.

    Attributes:
        config_sha256: of the run's resolved config.
        records: source -> task -> sha256 of its records.
        embedding: what encoded the texts.
        machine: where the stages ran.
        versions: package -> version.
        stages: of the run.
        command: to repeat it.
        config: the run's resolved config, as its file holds it.
    """

    config_sha256: str
    records: dict[str, dict[str, str]]
    embedding: Embedding
    machine: str | None
    versions: dict[str, str]
    stages: tuple[StageTime, ...]
    command: str
    config: dict[str, JsonValue]


@dataclass(frozen=True)
class ComparisonResults:
    """What compare.json holds, key by key; docs/comparison.md says what is measured."""

    schema: int
    name: str
    title: str
    created: str
    augrec_version: str
    headline: Headline
    data: DataFacts
    arms: tuple[ArmFacts, ...]
    recommenders: tuple[RecommenderFacts, ...]
    baseline: str
    claim: str | None
    metrics: tuple[str, ...]
    primary: str
    alpha: float
    equivalence_margin: float
    groups: tuple[GroupSize, ...]
    downstream: tuple[Judgement, ...]
    intrinsic: tuple[Intrinsic, ...]
    agreement: tuple[Agreement, ...]
    consistency: tuple[Consistency, ...]
    position: tuple[Position, ...]
    edge_worth: tuple[EdgeWorth, ...]
    alignment: tuple[Alignment, ...]
    leak: tuple[Leak, ...]
    memorisation: tuple[Memorisation, ...]
    cost: tuple[Cost, ...]
    per_cost: tuple[Gain, ...]
    examples: tuple[UserExample, ...]
    provenance: Provenance
    seconds: float
    local_models: tuple[LocalModel, ...] = ()
    spending: tuple[Spending, ...] = ()
    co2_g_per_kwh: float | None = None
    coverage: tuple[Coverage, ...] = ()
    reranking: Reranking | None = None

    @cached_property
    def arm_titles(self) -> dict[str, str]:
        """Arm -> title, or the name where there is none."""
        return {arm.name: arm.title or arm.name for arm in self.arms}

    @cached_property
    def recommender_titles(self) -> dict[str, str]:
        """Recommender -> title, or the name where there is none."""
        return {recommender.name: recommender.title or recommender.name for recommender in self.recommenders}

    @property
    def family(self) -> str:
        """The sentence on what the p-values are corrected over."""
        sizes = dict.fromkeys(self.metrics, 0)
        for judged in self.downstream:
            for values in judged.groups.values():
                for metric, value in values.items():
                    tested = sum(versus.p_users is not None for versus in value.versus.values())
                    sizes[metric] = sizes.get(metric, 0) + tested
        return describe_family(sizes)

    def judged_by(self, recommender: str) -> list[Judgement]:
        """How each arm did under one recommender."""
        return [judged for judged in self.downstream if judged.recommender == recommender]

    def shown(self) -> ComparisonResults:
        """The same with nothing in its texts that acts unseen."""
        return _typed(cleaned(asdict(self)))


_JSON = TypeAdapter(ComparisonResults)


def write_results(results: ComparisonResults, path: Path) -> None:
    """Writes compare.json."""
    write_json(path, asdict(results))


def read_results(path: Path) -> ComparisonResults:
    """Reads compare.json.

    Raises:
        DataError: it is missing, or another version wrote it.
    """
    return results_of(read_json(path, remedy=COMPARE_AGAIN), path)


def results_of(content: Any, where: Path | None = None) -> ComparisonResults:
    """The results that a JSON value holds; `where` it stands.

    Raises:
        DataError: it is of another schema.
    """
    where = where or ComparisonFolder(Path()).results
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise DataError(
            f"the comparison has schema {schema!r}, and this version shows schema {SCHEMA}",
            where=f"{where}, schema",
            remedy=COMPARE_AGAIN,
        )
    try:
        return _typed(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(f"{key}: {first['msg']}", where=where, remedy=COMPARE_AGAIN) from None


def _typed(content: Any) -> ComparisonResults:
    return _JSON.validate_python(content)
