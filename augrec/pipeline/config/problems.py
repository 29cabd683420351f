"""What of a run's sections does not fit together: names that are defined nowhere, and values that exclude each other.

Each section checks itself; here is what spans several. Every problem is a ValueError that begins with its key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from augrec.artefacts.metrics import METRICS, Metric
from augrec.artefacts.tasks import Text
from augrec.pipeline.config.controls import cards_of, given_texts, problems, writes_text
from augrec.pipeline.reranking.problems import reranking_problems
from augrec.pipeline.training.base_options import check_hints, check_monitor
from augrec.pipeline.tuning.options import check_tuned
from recsys.models.options.base import FamilyOptions, ModalityOptions, SideAugmentation
from recsys.models.registry import FAMILIES
from recsys.options import Judged

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config, Variant


def check_names(config: Config) -> None:
    """Raises ValueError where a section names a model, a source, a variant or a row that is defined nowhere."""
    _known(config.candidates.model, config.models, "candidates.model", "models")
    for key, model in config.base.named_models.items() if config.base else ():
        _known(model, config.models, key, "models")
    sources = config.generation.sources if config.generation else {}
    for reranked in config.rerank.variants if config.rerank else ():
        _known(reranked, config.variants, "rerank.variants", "variants")
    if config.rerank:
        _known(config.rerank.source, sources, "rerank.source", "generation.sources")
    rows: dict[str, Any] = {**config.variants, **config.reranked}
    _known(config.report.baseline, rows, "report.baseline", "variants")
    if config.report.claim is not None:
        _known(config.report.claim, rows, "report.claim", "variants")
    for control in config.report.controls or ():
        _known(control, rows, "report.controls", "variants")
    for name, variant in config.variants.items():
        _known(variant.model, config.models, f"variants.{name}.model", "models")
        if variant.source is not None:
            _known(variant.source, sources, f"variants.{name}.source", "generation.sources")
            if variant.source not in config.asked:
                raise ValueError(f"variants.{name}.source: '{variant.source}' is asked nothing; name its `tasks`")


def check_sections(config: Config) -> None:
    """Raises ValueError where sections exclude each other; names are known to exist."""
    own = [(f"variants.{name}.seeds", variant.seeds) for name, variant in config.variants.items()]
    for key, seeds in (("seeds", config.seeds), *own):
        if seeds and len(set(seeds)) != len(seeds):
            raise ValueError(f"{key}: a seed is listed twice; each training needs its own")
    for name in {"text", *(config.generation.sources if config.generation else ())} & set(config.features):
        raise ValueError(f"features.{name}: the name is taken; call the matrix something else")
    if not config.embedding and any(writes_text(source) for source in config.asked.values()):
        raise ValueError("embedding: missing; the text that `generation` writes must be embedded by some model")
    for name, model in config.models.items():
        _features_exist(config, name, model)
    for name, variant in config.variants.items():
        _changes_fit(config, name, variant)
    shown = {"report.primary": config.report.primary, "training.monitor": config.training.monitor}
    shown |= {f"report.secondary.{place}": metric for place, metric in enumerate(config.report.secondary)}
    _judged_alike(config, shown)
    for problem in reranking_problems(config):
        raise ValueError(problem)
    _candidates_are_listed(config)
    _noise_fits(config)
    _starts_fit(config)
    check_hints(config.base, config.generation, config.models, config.training)
    _tuning_fits(config)
    for key, metric in shown.items():
        if not Metric.parse(metric).computed(config.evaluation.cutoffs):
            cutoffs = ", ".join(str(cutoff) for cutoff in config.evaluation.cutoffs)
            raise ValueError(f"{key}: {metric} is not computed; evaluation.cutoffs are {cutoffs}")


def _judged_alike(config: Config, shown: dict[str, str]) -> None:
    """Raises ValueError where a metric, by its key, is not one by which the run's models are judged.

    Models that no variant trains are not looked at.
    """
    kinds = {name: config.models[variant.model].judged for name, variant in config.variants.items()}
    first, judged = next(iter(kinds.items()))
    for name, other in kinds.items():
        if other is not judged:
            raise ValueError(
                f"variants: '{first}' is judged by {judged.words} and '{name}' by {other.words}, which cannot be "
                "compared; make a run of each"
            )
    protocol = config.evaluation.protocol
    of_both = ("standard", "llama4rec") if judged is Judged.NEXT_ITEM else ("standard",)
    if judged is not Judged.RANKING and protocol not in of_both:
        raise ValueError(
            f"evaluation.protocol: {protocol} is of ranked lists, and the models are judged by {judged.words}"
        )
    monitors = {
        f"models.{name}.training.monitor": model.training.monitor
        for name, model in config.models.items()
        if model.training and "monitor" in model.training.model_fields_set and model.judged is judged
    }
    for key, text in {**shown, **monitors}.items():
        metric = Metric.parse(text)
        fits = judged.has_per_user(metric) if key == "report.primary" else judged.has(metric)
        if not fits:
            usable = [
                name for name in METRICS if judged.has_per_user(Metric(name, 20 if METRICS[name].at_k else None, False))
            ]
            raise ValueError(
                f"{key}: {text} is not what models that are judged by {judged.words} are compared by; choose from "
                f"{', '.join(usable)}"
            )


def _noise_fits(config: Config) -> None:
    """Raises ValueError for false interactions of a model that cannot have any, or not of its own."""
    for name, model in config.models.items():
        for part, options in model.components.items():
            if options.training is not None and options.training.noise:
                raise ValueError(
                    f"models.{name}.{part}.training.noise: a model and what it is made of are trained on the same "
                    f"interactions; set models.{name}.training.noise"
                )
    for name in {variant.model: None for variant in config.variants.values()}:
        model = config.models[name]
        own = model.training_within(config.training)
        if own.noise and model.judged is not Judged.RANKING:
            raise ValueError(
                f"models.{name}: training.noise is of models that are judged by ranked lists, and this one is "
                f"judged by {model.judged.words}; a false interaction has no rating and no place in time"
            )


def _starts_fit(config: Config) -> None:
    """Raises ValueError where a model that is split over processes is to begin with another's embeddings."""
    for name, variant in config.variants.items():
        model = config.models[variant.model]
        if variant.start_from is None or not model.training_within(config.training).shard:
            continue
        own = model.training is not None and "shard" in model.training.model_fields_set
        key = f"models.{variant.model}.training.shard" if own else "training.shard"
        raise ValueError(
            f"variants.{name}.start_from: {key} splits the model over processes, and such a model cannot "
            f"begin with another's embeddings; set {key} to false, or leave start_from out"
        )


def _candidates_are_listed(config: Config) -> None:
    base = config.models[config.candidates.model]
    if base.judged is not Judged.RANKING:
        raise ValueError(
            f"candidates.model: '{config.candidates.model}' is judged by {base.judged.words}, and lists nothing"
        )
    needed = FAMILIES[base.family].needed(base)
    if needed:
        raise ValueError(
            f"candidates.model: '{config.candidates.model}' needs features ({', '.join(sorted(needed))}), and "
            "candidates are listed before there are any; name a model of interactions alone, e.g. lightgcn or ease"
        )
    check_monitor("candidates.model", config.candidates.model, config.models, config.training)


def _tuning_fits(config: Config) -> None:
    """Raises ValueError where what is taught cannot be made, or where an engine asks for a model nobody tunes."""
    if config.tune and config.tune.instructions.tasks and not config.base:
        raise ValueError(
            "tune.instructions.tasks: instructions are made of what the folds of a base recommender hold out; add "
            "a section `base`"
        )
    for name, source in (config.generation.sources if config.generation else {}).items():
        if source.engine.uses_tuned:
            check_tuned(source.engine, config.tune, f"generation.sources.{name}.engine")


def _features_exist(config: Config, name: str, model: FamilyOptions) -> None:
    if FAMILIES[model.family].uses_vectors(model) and not (config.embedding or config.features):
        raise ValueError(
            f"models.{name}: family {model.family} needs item features; add an `embedding` section for text, or "
            "`features` with matrices of your own"
        )
    there = [*(["text"] if config.embedding else []), *config.features, *_texts_of_items(config)]
    named: tuple[str, ...] = (model.modalities or ()) if isinstance(model, ModalityOptions) else ()
    for modality in named:
        if modality not in there:
            raise ValueError(
                f"models.{name}.modalities: the data have no '{modality}' features (they have: "
                f"{', '.join(there)}); name a matrix in features.{modality}.path, or leave it out of `modalities`"
            )
    for part, options in model.components.items():
        _features_exist(config, f"{name}.{part}", options)


def _texts_of_items(config: Config) -> set[str]:
    """What the sources' texts about items are called among the item features."""
    sources = config.generation.sources.values() if config.generation else ()
    cards = [pair for source in sources for pair in cards_of(source).items()]
    known = {card.feature for _, card in cards if card and card.about == "item" and isinstance(card.gives, Text)}
    return known | {task.removeprefix("item_") for task, card in cards if card is None}


def _changes_fit(config: Config, name: str, variant: Variant) -> None:
    sources = config.generation.sources if config.generation else {}
    plain, source = variant.model_dump(), sources.get(variant.source or "")
    for problem in problems(plain, source):
        raise ValueError(f"variants.{name}.{problem}")
    model = config.models.get(variant.model)
    if isinstance(model, SideAugmentation) and model.side.profile and not given_texts(plain, source, "user"):
        raise ValueError(
            f"variants.{name}: models.{variant.model}.side.profile is {model.side.profile:g}, and nobody makes "
            "profiles for it; name a `source` with a task that gives texts about users, e.g. user_profile, or set "
            "side.profile to 0"
        )


def _known(name: str, names: dict[str, Any], key: str, section: str) -> None:
    if name not in names:
        listed = ", ".join(names) or "it is empty"
        raise ValueError(f"{key}: '{name}' is not defined in `{section}` ({listed})")
