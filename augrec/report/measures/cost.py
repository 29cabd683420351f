"""What the texts of a source cost: tokens, device time, energy, and money at list prices; and what was gained for it.

Prices are those of `prices.toml`, each of a day, for what these tokens would cost with the hosted models that published
augmentations used. Gain per cost as in LLMRec (Wei et al., WSDM 2024, table 7): percent of improvement over the
baseline for each unit that was spent on the texts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from augrec.report.measures.records import Records

Entry = dict[str, Any]


@dataclass(frozen=True)
class Price:
    """A list price in US dollars per million tokens.

    Attributes:
        model: who would be paid for.
        dated: the day of the price, YYYY-MM-DD.
        input, output: of read and of written tokens; `output` is None for embeddings.
        batch: the share let off for batches; None where none is known.
        source: where the price is from, in words.
    """

    model: str
    dated: str
    input: float
    source: str
    output: float | None = None
    batch: float | None = None

    def usd(self, prompt_tokens: int, completion_tokens: int = 0, *, batch: bool = False) -> float:
        """What so many tokens cost. `batch` takes the discount off where there is one."""
        full = (prompt_tokens * self.input + completion_tokens * (self.output or 0.0)) / 1e6
        return full * (1 - (self.batch or 0.0) * batch)


def price_list() -> list[Price]:
    """All prices of `prices.toml`, in its order."""
    text = files("augrec.report.measures").joinpath("prices.toml").read_text(encoding="utf-8")
    return [Price(**entry) for entry in tomllib.loads(text)["price"]]


def writing_prices() -> list[Price]:
    """Those of models that write text."""
    return [price for price in price_list() if price.output is not None]


def cost(
    source: str,
    tasks: Sequence[Records],
    *,
    model: str | None = None,
    count: Callable[[str], int] | None = None,
    prompts: Iterable[str] = (),
    device: str | None = None,
    devices: int | None = None,
    engine_seconds: float | None = None,
    energy_joules: float | None = None,
    prices: Sequence[Price] | None = None,
) -> Entry:
    """The entry `cost` of compare.json for one source.

    Args:
        source: its name.
        tasks: its records, one for each task.
        model: what wrote them.
        count: tokens of a text by a local tokenizer, for records that hold no counts; None leaves them unknown.
        prompts: their prompts, where they are at hand; without them the tokens read are unknown.
        device: the accelerator's name.
        devices: how many of them worked at the same time.
        engine_seconds: wall-clock seconds of generating.
        energy_joules: of all devices.
        prices: those to apply; the list's by default. Without both numbers of tokens there is no price.
    """
    prompt, completion, estimated = _tokens(tasks, count, prompts)
    known = prompt is not None and completion is not None
    return {
        "source": source,
        "model": model,
        "requests": sum(len(records.ok) for records in tasks),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "estimated": estimated,
        "device": device,
        "devices": devices,
        "device_seconds": None if engine_seconds is None else engine_seconds * (devices or 1),
        "energy_joules": energy_joules,
        "prices": [
            {"model": price.model, "dated": price.dated, "usd": price.usd(prompt or 0, completion or 0)}
            for price in (writing_prices() if prices is None else prices)
            if known
        ],
    }


def _tokens(
    tasks: Sequence[Records], count: Callable[[str], int] | None, prompts: Iterable[str]
) -> tuple[int | None, int | None, bool]:
    """Tokens read, tokens written, and whether they were counted here."""
    recorded = [
        sum(tokens or 0 for records in tasks for tokens in records.table[name].to_pylist())
        for name in ("prompt_tokens", "completion_tokens")
    ]
    if any(recorded):
        return recorded[0], recorded[1], False
    if count is None:
        return None, None, False
    texts = (text for records in tasks for text in records.table["text"].to_pylist())
    written = sum(count(text) for text in texts if text)
    listed = [count(prompt) for prompt in prompts]
    return sum(listed) if listed else None, written, True


def per_cost(
    downstream: Sequence[Entry],
    costs: Sequence[Entry],
    sources: Mapping[str, str | None],
    *,
    baseline: str,
    metrics: Sequence[str],
    price_model: str | None = None,
    group: str = "all",
) -> list[Entry]:
    """The entries `per_cost` of compare.json: an arm's improvement over the baseline with the same recommender.

    Arms without a source, or whose source's cost is unknown, cost nothing that could be divided by, and are left out.

    Args:
        downstream: the entries `downstream`.
        costs: the entries `cost`.
        sources: arm -> its source.
        baseline: the arm to improve on.
        metrics: those wanted, in this order.
        price_model: by whose price dollars are counted; the last one listed by default.
        group: of users.
    """
    spent = {entry["source"]: entry for entry in costs}
    means = {
        (one["arm"], one["recommender"], metric): ((one.get("groups") or {}).get(group) or {})
        .get(metric, {})
        .get("mean")
        for one in downstream
        for metric in metrics
    }
    rows = []
    for (arm, recommender, metric), mean in means.items():
        entry = spent.get(sources.get(arm) or "")
        if arm == baseline or entry is None:
            continue
        hours = None if entry["device_seconds"] is None else entry["device_seconds"] / 3600
        price = _priced(entry["prices"], price_model)
        usd = price["usd"] if price else None
        if hours is None and usd is None:
            continue
        gain = _improvement(mean, means.get((baseline, recommender, metric)))
        rows.append(
            {
                "arm": arm,
                "recommender": recommender,
                "metric": metric,
                "improvement_percent": gain,
                "device_hours": hours,
                "usd": usd,
                "price_model": price["model"] if price else None,
                "percent_per_device_hour": _per(gain, hours),
                "percent_per_usd": _per(gain, usd),
            }
        )
    return rows


def _priced(prices: Sequence[Entry], model: str | None) -> Entry | None:
    fitting = [price for price in prices if model is None or price["model"] == model]
    return fitting[-1] if fitting else None


def _improvement(value: float | None, over: float | None) -> float | None:
    return None if value is None or not over else 100 * (value / over - 1)


def _per(gain: float | None, spent: float | None) -> float | None:
    return None if gain is None or not spent else gain / spent
