"""Comparisons to show, built from seeded numbers: a realistic one, one full of hostile text, and one of nothing."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

import numpy as np

from augrec.report.pages.comparison.results import ComparisonResults, results_of

METRICS = ["recall@20", "ndcg@20", "precision@20", "recall@50"]
LEVEL = {"recall@20": 0.081, "ndcg@20": 0.036, "precision@20": 0.0041, "recall@50": 0.139}
ARMS = {
    "gpt35": ("GPT-3.5, published", "published", "gpt35", "gpt-3.5-turbo-0613", None, {}),
    "gpt35-1000": ("GPT-3.5 on the same 1,000 users", "published", "gpt35-1000", "gpt-3.5-turbo-0613", 1000, {}),
    "smollm2": ("SmolLM2-135M", "llm", "smollm2", "SmolLM2-135M-Instruct.Q4_1", 1000, {}),
    "tfidf": ("TF-IDF words of the history", "rule", "tfidf", None, 1000, {}),
    "shuffled": (
        "GPT-3.5, users shuffled",
        "control",
        "gpt35",
        "gpt-3.5-turbo-0613",
        None,
        {"user_profile": "shuffled"},
    ),
    "constant": ("one constant vector", "control", "gpt35", None, None, {"user_profile": "constant"}),
    "none": ("no text", "none", None, None, None, {}),
}
GAIN = {"gpt35": 0.034, "gpt35-1000": 0.006, "smollm2": 0.002, "tfidf": 0.011, "shuffled": 0.001, "constant": -0.002}
RECOMMENDERS = {
    "llmrec": ("LLMRec", "llmrec", "profile_scale", [0.0, 0.1, 0.5, 1.0, 2.8], [1, 2, 3, 4, 5]),
    "ease_text": ("EASE with text", "ease_text", "text_weight", [0.0, 0.05, 0.1, 0.2, 0.5], [1]),
}
GROUPS = [
    ("all", "All test users", 13187, "every user with a test item"),
    ("profiled", "Profiled users", 1000, "the users that every LLM was asked about"),
    ("head", "Long histories", 4395, "the third with the most training items"),
    ("middle", "Middle histories", 4396, "the third between"),
    ("tail", "Short histories", 4396, "the third with the fewest training items"),
]
SOURCES = ("gpt35", "gpt35-1000", "smollm2", "tfidf")
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"alert('owned')\">"
LINK = '[click](javascript:alert(1)) <a href="javascript:alert(1)">x</a> https://owned.example ![i](http://o.example/i.png)'
ARABIC = "فيلم عن الحب والحرب"
OVERRIDE = "safe\u202egpj.exe\u202c\u2066 a\u200bb\ufeff\x00\x07\x1b[31m\u2028\ud800\U000e0041"
LONG = "Supercalifragilistic" * 30
FAMILY = "👩\u200d👩\u200d👧 🏳️\u200d🌈 نامه\u200cها"
ZALGO = "Z" + "\u0301\u0302\u0303\u0304\u0305\u0306\u0307" * 9
PIPES = "a | b \\| c `d` ``e`` \n| - | - |\n# heading\n1. one\n```\nfence"
HOSTILE = [
    SCRIPT,
    LINK,
    ARABIC,
    OVERRIDE,
    LONG,
    FAMILY,
    ZALGO,
    PIPES,
    "</p></div></details>{{ 7 * 7 }}{% raw %}",
    "𝒳" * 40,
]


def results(content: dict[str, Any] | None = None) -> ComparisonResults:
    """A content, by default the realistic one, as the pages want it."""
    return results_of(realistic() if content is None else content)


def realistic(seed: int = 3) -> dict[str, Any]:
    """Seven arms, two recommenders, five groups: every list is filled."""
    rng = np.random.default_rng(seed)
    return {
        "schema": 6,
        "name": "netflix",
        "title": "Whose text helps the recommender?",
        "created": "2026-03-01T12:00:00+00:00",
        "augrec_version": "0.1.0",
        "headline": {
            "lead": "SmolLM2-135M reaches recall@20 0.0827 against 0.0810 without text: undecided.",
            "evidence": "difference +0.0017, 95 % interval −0.0004 to +0.0038, over users p = 0.121 (Holm over 6).",
            "details": [
                "The published GPT-3.5 profiles are better under both recommenders.",
                "With the same 1,000 users GPT-3.5 is undecided beside TF-IDF words.",
            ],
        },
        "data": {
            "name": "Netflix (LLMRec release)",
            "licence": None,
            "counts": {"users": 13187, "items": 17366, "train": 68933, "valid": 13187, "test": 13187},
            "protocol": {"split": "as released", "rank": "all items", "filters": {"seen": True}, "k": [20, 50]},
            "profiled_users": 1000,
        },
        "arms": [_arm(name) for name in ARMS],
        "recommenders": [
            {"name": name, "title": title, "family": family, "scale_option": option, "scales": scales}
            for name, (title, family, option, scales, _) in RECOMMENDERS.items()
        ],
        "baseline": "none",
        "claim": "smollm2",
        "metrics": METRICS,
        "primary": "recall@20",
        "alpha": 0.05,
        "equivalence_margin": 0.02,
        "groups": [{"name": n, "title": t, "users": u, "rule": r} for n, t, u, r in GROUPS],
        "downstream": [_downstream(arm, name, rng) for name in RECOMMENDERS for arm in ARMS],
        "intrinsic": [_intrinsic(source, task, rng) for source in SOURCES for task in _tasks(source)],
        "agreement": [_agreement(a, b, rng) for n, a in enumerate(SOURCES) for b in SOURCES[n + 1 :]],
        "consistency": [_consistency(source, n) for n, source in enumerate(SOURCES)],
        "position": [_position(source, rng) for source in ("gpt35", "smollm2")],
        "edge_worth": [_edge_worth("gpt35", 0.021), _edge_worth("smollm2", 0.012)],
        "alignment": [_alignment("gpt35 user_profile", 1.8), _alignment("smollm2 user_profile", 0.97)],
        "leak": [_leak(source, n) for n, source in enumerate(SOURCES)],
        "memorisation": [
            {
                "named": "smollm2", "anonymous": "smollm2-anonymous", "task": "user_profile", "entities": 988,
                "exact": 0.041, "cosine": 0.71, "cosine_strangers": 0.63, "consistency_named": 0.44,
                "consistency_anonymous": 0.41, "same_choice": None, "chance_of_choice": None,
                "verdict": "the answers differ little, so little comes from titles known by heart.",
            },
            {
                "named": "smollm2", "anonymous": "smollm2-anonymous", "task": "edges", "entities": 990,
                "exact": 0.12, "cosine": None, "cosine_strangers": None, "consistency_named": None,
                "consistency_anonymous": None, "same_choice": 0.31, "chance_of_choice": 0.1,
                "verdict": "Names matter to the edges: without them, for 31 % of users the candidate stays the same.",
            },
        ],
        "cost": [_cost(source, n) for n, source in enumerate(SOURCES)],
        "per_cost": [_per_cost(arm, name) for arm in ("gpt35", "smollm2") for name in RECOMMENDERS],
        "examples": [_example(n, rng) for n in range(4)],
        "provenance": {
            "config_sha256": "0f" * 32,
            "records": {source: {"user_profile": "ab" * 32, "edges": "cd" * 32} for source in SOURCES},
            "embedding": {"model": "all-MiniLM-L6-v2", "sha256": "12" * 32},
            "machine": "2 cores, no accelerator",
            "versions": {"python": "3.11.9", "torch": "2.11.0", "vllm": "0.32.1"},
            "stages": [{"stage": "prepare", "seconds": 12.0}, {"stage": "train", "seconds": 4210.0}],
            "command": "augrec compare netflix.yaml",
            "config": {},
        },
        "seconds": 5230.0,
        "local_models": [
            {
                "arm": "smollm2", "source": "smollm2", "parameters": 134_515_008, "weight_bytes": 269_030_016.0,
                "requests": 1000, "valid": 996, "first": 981, "prompt_tokens": 438_854, "completion_tokens": 72_507,
                "seconds": 540.0, "devices": 1, "energy_joules": None,
            },
        ],
        "spending": [
            {"what": "generation by smollm2", "pieces": 1, "seconds": 540.0} | {"energy_joules": 6.2e4, "counted": 1},
            {"what": "reported trainings", "pieces": 42, "seconds": 4210.0} | {"energy_joules": None, "counted": 0},
        ],
        "co2_g_per_kwh": 250.0,
        "coverage": [
            {
                "source": "smollm2", "items": 990, "titles": 0.012, "years": 0.21, "genres": 0.3,
                "chance_titles": 0.001, "chance_years": 0.04, "chance_genres": 0.22, "copied": 0.31,
            },
        ],
        "reranking": {"list_size": 10, "rows": [_reranked(None), _reranked("shuffled")]},
    }  # fmt: skip


def _arm(name: str) -> dict[str, Any]:
    title, kind, source, model, users, changed = ARMS[name]
    note = "As released; which prompt wrote it is not known." if name == "gpt35" else None
    return {
        "name": name,
        "title": title,
        "kind": kind,
        "source": source,
        "model": model,
        "change": changed,
        "users": users,
    } | {"note": note, "users_by": None if users is None else "random", "lists_of": None}


def _reranked(control: str | None) -> dict[str, Any]:
    told = {"questions": 200.0, "failed": 3.0, "repaired": 0.0, "like_shown": 0.4, "place_variance": 5.25}
    return {
        "row": f"llmrec+none+ranking{'' if control is None else f'-{control}'}",
        "variant": "llmrec+none",
        "task": "ranking",
        "control": control,
        "b1": 0.3,
        "b2": 0.5,
        "chosen_by": "ndcg@10",
        "alpha": {"mean": 0.2, "least": 0.15, "most": 0.3},
        "users": 13187,
        "asked": 100,
        "answers": {"valid": told, "test": told},
        "among_asked": {"recall@20": 0.0821},
        "unchanged": {"recall@20": 0.0813},
        "grid": [[0.3, 0.5, 0.0361], [0.5, 0.5, 0.0352]],
    }


def _downstream(arm: str, recommender: str, rng: np.random.Generator) -> dict[str, Any]:
    _, _, _, scales, seeds = RECOMMENDERS[recommender]
    gain = GAIN.get(arm, 0.0) * (1.0 if recommender == "llmrec" else 0.6)
    reached = 0.08 * (1 + gain)
    tuned = [{"scale": s, "valid": round(reached * (1 - 0.1 * (n - 2) ** 2 / 9), 5)} for n, s in enumerate(scales)]
    groups = {}
    for place, (group, _, users, _) in enumerate(GROUPS):
        values = {}
        for metric in METRICS:
            level = LEVEL[metric] * (1.1 if recommender == "ease_text" else 1.0) * (1 - 0.06 * place)
            mean = level * (1 + gain + rng.normal(0, 0.002))
            half, narrow = level * 2.2 / np.sqrt(users) * 2, level * 0.9 / np.sqrt(users) * 2
            others = {"none": level} if arm != "none" else {}
            others |= {"shuffled": level * 1.001} if ARMS[arm][1] in ("published", "llm") else {}
            values[metric] = {
                "mean": mean,
                "std": level * 0.004 if len(seeds) > 1 else None,
                "low": mean - half,
                "high": mean + half,
                "versus": {name: _versus(mean - at, narrow, len(seeds)) for name, at in others.items()},
                "users": _users(mean, users) if metric == "recall@20" else None,
            }
        groups[group] = values
    tuned = [] if arm == "none" else tuned
    return {"arm": arm, "recommender": recommender, "seeds": seeds, "scale": 0.5 if tuned else None} | {
        "tuned": tuned, "problem": None, "groups": groups,
    }  # fmt: skip


def _users(mean: float, users: int) -> dict[str, Any]:
    """Skewed, as recall is: a quarter of the users has nothing, and few have much."""
    quantiles = [max(0.0, 4 * mean * (n / 20) ** 3 - mean / 16) for n in range(21)]
    return {"quantiles": quantiles, "at_zero": 0.25, "users": users}


def _versus(difference: float, half: float, seeds: int) -> dict[str, Any]:
    p = float(np.exp(-2.2 * abs(difference) / half))
    seeded = min(1.0, p * 1.3) if seeds > 1 else None
    return {
        "difference": difference, "ci_low": difference - half, "ci_high": difference + half, "error": half / 2,
        "family_low": difference - 1.3 * half, "family_high": difference + 1.3 * half, "family_size": 6, "alpha": 0.05,
        "n_users": 1000, "paired_seeds": seeds, "paired_draws": 1, "n_differ": 800, "fixed": False,
        "reference": 0.08, "share_above": 0.4, "share_below": 0.3, "relative": difference / 0.08,
        "effect": difference / half / 16,
        "margin": 0.0016, "detectable_users": 1.4 * half, "detectable_seeds": half if seeds > 1 else None,
        "p_users": p, "p_users_holm": min(1.0, 6 * p), "p_users_randomisation": p, "p_users_randomisation_holm": None,
        "p_seeds": seeded, "p_seeds_holm": seeded, "p_equivalence_users": 1 - p, "p_equivalence_users_holm": 1 - p / 2,
        "p_equivalence_seeds": None if seeded is None else 1 - p, "users_reason": None,
        "seeds_reason": None if seeded else "one seed",
    }  # fmt: skip


def _tasks(source: str) -> tuple[str, ...]:
    return ("user_profile",) if source == "tfidf" else ("user_profile", "item_attributes")


def _intrinsic(source: str, task: str, rng: np.random.Generator) -> dict[str, Any]:
    records = 17366 if task == "item_attributes" else 13187 if source == "gpt35" else 1000
    failed = 14 if source == "smollm2" else 0
    lengths = rng.gamma(9, {"gpt35": 4, "gpt35-1000": 4, "smollm2": 6, "tfidf": 2}[source], min(records, 4000))
    counts, edges = np.histogram(lengths, bins=24)
    low, middle, high = np.percentile(lengths, [5, 50, 95])
    return {
        "source": source, "task": task, "records": records, "ok": records - failed, "failed": failed,
        "failed_by_reason": {"length": 11, "not JSON": 3} if failed else {},
        "first_attempt_share": None if source.startswith("gpt") else 0.971, "repaired_share": 0.062,
        "distinct_share": 0.998 if source != "smollm2" else 0.61, "repetition": 0.004 if source != "smollm2" else 0.093,
        "vocabulary": 5231, "distinct_per_1000": 412.4,
        "words_per_text": {"mean": float(lengths.mean()), "p5": low, "p50": middle, "p95": high},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "values": {"gender": {"distinct": 3, "top": [["female", 0.52], ["male", 0.47], ["unknown", 0.01]]}},
    }  # fmt: skip


def _agreement(a: str, b: str, rng: np.random.Generator) -> dict[str, Any]:
    cosine = float(rng.uniform(0.4, 0.9))
    fields = {"age": 0.31, "liked_genres": 0.42, "country": 0.88}
    return {"a": a, "b": b, "task": "user_profile", "entities": 986, "exact": 0.013, "fields": fields} | {
        "cosine": cosine, "cosine_strangers": cosine - 0.12,
    }  # fmt: skip


def _consistency(source: str, n: int) -> dict[str, Any]:
    return {"source": source, "users": 986, "liked_in_history": 0.81 - 0.13 * n, "liked_in_top3": 0.6 - 0.1 * n} | {
        "disliked_in_history": 0.2 + 0.02 * n, "strangers": 0.47,
    }  # fmt: skip


def _position(source: str, rng: np.random.Generator) -> dict[str, Any]:
    weights = np.linspace(2, 1, 10) if source == "smollm2" else np.ones(10)
    counts = [rng.multinomial(980, w / w.sum()).tolist() for w in (weights, weights[::-1])]
    return {"source": source, "users": 980, "labels": 10, "positive": counts[0], "negative": counts[1]} | {
        "p_positive": 0.0002 if source == "smollm2" else 0.41, "p_negative": 0.003, "first_share": counts[0][0] / 980,
    }  # fmt: skip


def _edge_worth(source: str, share: float) -> dict[str, Any]:
    def at(mean: float) -> dict[str, float]:
        return {"mean": mean, "low": mean - 0.004, "high": mean + 0.004}

    return {
        "source": source, "task": "edges", "users": 980, "edges": 980, "known": 3, "right": round(980 * share),
        "precision": at(share), "knn": at(0.085), "above_knn": at(share - 0.085), "chosen": 980, "choice": at(share),
        "random": at(0.017), "above_random": at(share - 0.017), "places": [500, 300, 180], "right_at": [12, 5, 1],
    }  # fmt: skip


def _alignment(of: str, ratio: float) -> dict[str, Any]:
    def met(ratio: float) -> dict[str, Any]:
        p = 0.005 if ratio > 1.2 else 0.6
        return {"pairs": 21_000, "observed": round(900 * ratio), "expected": 900.0} | {
            "ratio": ratio, "spread": 0.04, "p": p,
        }  # fmt: skip

    return {
        "of": of, "about": "user", "vectors": "tf-idf", "entities": 986, "texts": met(ratio), "histories": met(2.4),
        "popularity": met(1.01), "shuffled": met(0.99), "verdict": "aligned" if ratio > 1.2 else "apart",
        "why": f"those with near texts meet {ratio:.2f} times as often as by chance",
    }  # fmt: skip


def _leak(source: str, n: int) -> dict[str, Any]:
    def at(mean: float) -> dict[str, float]:
        return {"mean": mean, "low": mean - 0.012, "high": mean + 0.012}

    leaked = source == "gpt35-1000"
    splits = {"train": at(0.71 - 0.03 * n), "valid": at(0.57 - 0.01 * n), "test": at(0.70 if leaked else 0.56)}
    verdict = "test items lie as near as training items: look for a leak." if leaked else "no sign of a leak."
    gap = splits["train"]["mean"] - splits["test"]["mean"]
    return {"source": source, "users": 986, "items_by": "embedding", **splits, "gap": gap} | {
        "gap_low": gap - 0.015, "gap_high": gap + 0.015, "verdict": verdict,
        "explained": {"train": 0.8, "valid": 0.6, "test": 0.59}, "excess": at(-0.02),
    }  # fmt: skip


def _cost(source: str, n: int) -> dict[str, Any]:
    own = source == "smollm2"
    return {
        "source": source, "model": ARMS[source][3], "requests": 31553 if n == 0 else 19366,
        "prompt_tokens": None if source == "tfidf" else 9_812_331,
        "completion_tokens": None if source == "tfidf" else 1_423_901,
        "estimated": not own, "device": "CPU, 2 cores" if own else None, "devices": 1 if own else None,
        "device_seconds": 7412.0 if own else None, "energy_joules": 240_000.0 if own else None,
        "prices": [] if source == "tfidf" else [
            {"model": "gpt-3.5-turbo-0125", "dated": "2024-01-25", "usd": 7.04},
            {"model": "gpt-4o-mini", "dated": "2024-07-18", "usd": 2.3264},
        ],
    }  # fmt: skip


def _per_cost(arm: str, recommender: str) -> dict[str, Any]:
    hours = 2.0589 if arm == "smollm2" else None
    return {"arm": arm, "recommender": recommender, "metric": "recall@20", "improvement_percent": 100 * GAIN[arm]} | {
        "device_hours": hours, "usd": 7.04, "price_model": "gpt-3.5-turbo-0125",
        "percent_per_device_hour": None if hours is None else 100 * GAIN[arm] / hours,
        "percent_per_usd": 14.2 * GAIN[arm],
    }  # fmt: skip


WORDS = ["drama", "slow", "family", "war", "hopeful", "crime", "friendship", "classic", "quiet", "romance", "journey"]


def _example(n: int, rng: np.random.Generator) -> dict[str, Any]:
    def text(words: int) -> str:
        return "Someone who likes " + " ".join(rng.choice(WORDS, words)) + "."

    texts = [{"arm": arm, "text": text(14 + 9 * k), "failed": None} for k, arm in enumerate(ARMS) if arm != "none"]
    if n == 1:
        texts[2] = {"arm": "smollm2", "text": None, "failed": "length"}
        texts[1] = {"arm": "gpt35-1000", "text": None, "failed": None}
    return {
        "user": str(4711 + n),
        "history": [f"A film of {1950 + int(y)}" for y in rng.integers(0, 60, 6)],
        "texts": texts,
    }


def hostile() -> dict[str, Any]:
    """The realistic one with hostile text wherever a text may stand, names of arms and keys included."""
    content = copy.deepcopy(realistic())
    content["title"] = SCRIPT + OVERRIDE
    content["headline"] = {"lead": SCRIPT + ARABIC, "evidence": LINK, "details": list(HOSTILE)}
    for n, arm in enumerate(content["arms"]):
        arm["title"] = HOSTILE[n] + " 'DejaVu Sans', x"
        arm["note"] = HOSTILE[(n + 3) % len(HOSTILE)]
    for n, group in enumerate(content["groups"]):
        group["title"], group["rule"] = HOSTILE[n], HOSTILE[n + 4]
    for one, text in zip(content["downstream"], HOSTILE, strict=False):
        one["problem"] = text
    for n, one in enumerate(content["intrinsic"]):
        one["failed_by_reason"] = {HOSTILE[n]: 2}
        one["values"] = {SCRIPT: {"distinct": 3, "top": [[text, 0.3] for text in HOSTILE[n : n + 3]]}}
    for n, example in enumerate(content["examples"]):
        example["user"], example["history"] = HOSTILE[n], list(HOSTILE)
        for k, text in enumerate(example["texts"]):
            text["text"] = HOSTILE[(n + k) % len(HOSTILE)] * (40 if k == 0 else 1)
            text["failed"] = HOSTILE[(n + k + 2) % len(HOSTILE)] if k == 2 else None
    content["alignment"][0]["of"], content["alignment"][1]["why"] = SCRIPT, OVERRIDE
    content["leak"][0]["verdict"] = SCRIPT
    content["memorisation"][0]["verdict"] = OVERRIDE
    content["cost"][0]["model"] = LONG
    content["provenance"]["machine"] = SCRIPT
    content["provenance"]["config"] = {"note": "</pre>" + SCRIPT, "name": OVERRIDE.replace("\ud800", "")}
    content["data"]["name"] = SCRIPT
    content["data"]["protocol"] = {SCRIPT: LONG, "list": [OVERRIDE, None, True]}
    return content


def minimal() -> dict[str, Any]:
    """One arm; every list that may be empty is, and every number that may be null is."""
    arm = {"name": "none", "title": "no text", "kind": "none", "source": None, "model": None, "note": None}
    empty = (
        "intrinsic",
        "agreement",
        "consistency",
        "position",
        "edge_worth",
        "alignment",
        "leak",
        "memorisation",
        "cost",
        "per_cost",
        "examples",
    )
    return {
        "schema": 6, "name": "one", "title": "", "created": "2026-03-01T12:00:00+00:00", "augrec_version": "0.1.0",
        "headline": {"lead": "There is one arm, so there is nothing to compare.", "evidence": "", "details": []},
        "data": {"name": "", "licence": None, "counts": {}, "protocol": {}, "profiled_users": None},
        "arms": [arm | {"change": {}, "users": None}],
        "recommenders": [{"name": "ease", "title": "EASE", "family": "ease", "scale_option": "text", "scales": []}],
        "baseline": "none", "claim": None, "metrics": ["recall@20"], "primary": "recall@20",
        "alpha": 0.05, "equivalence_margin": 0.02,
        "groups": [{"name": "all", "title": "All test users", "users": 0, "rule": ""}],
        "downstream": [
            {"arm": "none", "recommender": "ease", "seeds": [], "scale": None, "tuned": []}
            | {"problem": "it ran out of memory", "groups": {}}
        ],
        **{name: [] for name in empty},
        "provenance": {"config_sha256": "0f" * 32, "records": {}, "embedding": {"model": None, "sha256": None}}
        | {"machine": None, "versions": {}, "stages": [], "command": "augrec compare one.yaml", "config": {}},
        "seconds": 1.0,
    }  # fmt: skip


def voided(value: Any) -> Any:
    """The same results with nothing where nothing may be: every optional value is None."""
    if is_dataclass(value):
        types = get_type_hints(type(value))
        optional = {field.name for field in fields(value) if type(None) in get_args(types[field.name])}
        changes = {field.name: voided(getattr(value, field.name)) for field in fields(value)}
        return replace(value, **changes | dict.fromkeys(optional))  # type: ignore[type-var]
    if isinstance(value, dict):
        return {key: voided(found) for key, found in value.items()}
    return tuple(voided(found) for found in value) if isinstance(value, tuple) else value
