"""What the texts of a source cost: tokens, device time, energy, and money at list prices; and what was gained for it.

Prices are those of `prices.toml`, each of a day, for what these tokens would cost with the hosted models that published
augmentations used. Gain per cost as in LLMRec (Wei et al., WSDM 2024, table 7): percent of improvement over the
baseline for each unit that was spent on the texts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from augrec.artefacts.metrics import Metric
from augrec.report.measures.downstream import Judgement
from augrec.report.measures.source_records import SourceRecords


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


@dataclass(frozen=True)
class Charge:
    """What a source's tokens would cost in US dollars, at the price of a model on a day."""

    model: str
    dated: str
    usd: float


@dataclass(frozen=True)
class Cost:
    """What the texts of one source took.

    Attributes:
        source: its name.
        model: what wrote them.
        requests: records, failed ones too.
        prompt_tokens, completion_tokens: read and written; None where that is not known.
        estimated: whether they were counted here and not by the source.
        device, devices: the accelerator's name, and how many worked at the same time.
        device_seconds: of generating, over all devices.
        energy_joules: of all devices.
        prices: the same tokens at list prices.
    """

    source: str
    model: str | None
    requests: int
    prompt_tokens: int | None
    completion_tokens: int | None
    estimated: bool
    device: str | None
    devices: int | None
    device_seconds: float | None
    energy_joules: float | None
    prices: tuple[Charge, ...]

    def part(self, share: float) -> Cost:
        """What a share of it costs, in [0, 1]: of its time, energy and money."""
        seconds, joules = self.device_seconds, self.energy_joules
        return replace(
            self,
            device_seconds=None if seconds is None else share * seconds,
            energy_joules=None if joules is None else share * joules,
            prices=tuple(replace(charge, usd=share * charge.usd) for charge in self.prices),
        )


@dataclass(frozen=True)
class Gain:
    """An arm's improvement over the baseline, in percent, and for each unit that is spent on the texts it is given."""

    arm: str
    recommender: str
    metric: str
    improvement_percent: float | None
    device_hours: float | None
    usd: float | None
    price_model: str | None
    percent_per_device_hour: float | None
    percent_per_usd: float | None


def price_list() -> list[Price]:
    """All prices of `prices.toml`, in its order."""
    text = files("augrec.report.measures").joinpath("prices.toml").read_text(encoding="utf-8")
    return [Price(**entry) for entry in tomllib.loads(text)["price"]]


def writing_prices() -> list[Price]:
    """Those of models that write text."""
    return [price for price in price_list() if price.output is not None]


def cost(
    source: str,
    tasks: Sequence[SourceRecords],
    *,
    model: str | None = None,
    count: Callable[[str], int] | None = None,
    device: str | None = None,
    devices: int | None = None,
    engine_seconds: float | None = None,
    energy_joules: float | None = None,
    prices: Sequence[Price] | None = None,
) -> Cost:
    """What one source's texts took.

    Args:
        source: its name.
        tasks: its records, one for each task.
        model: what wrote them.
        count: tokens of a text by a local tokenizer, for records that hold no counts; None leaves them unknown. Of such
            records the prompts are not known, and so not the tokens read.
        device: the accelerator's name.
        devices: how many of them worked at the same time.
        engine_seconds: wall-clock seconds of generating.
        energy_joules: of all devices.
        prices: those to apply; the list's by default. Without both numbers of tokens there is no price.
    """
    prompt, completion, estimated = _tokens(tasks, count)
    known = prompt is not None and completion is not None
    return Cost(
        source=source,
        model=model,
        requests=sum(len(records.ok) for records in tasks),
        prompt_tokens=prompt,
        completion_tokens=completion,
        estimated=estimated,
        device=device,
        devices=devices,
        device_seconds=None if engine_seconds is None else engine_seconds * (devices or 1),
        energy_joules=energy_joules,
        prices=tuple(
            Charge(price.model, price.dated, price.usd(prompt or 0, completion or 0))
            for price in (writing_prices() if prices is None else prices)
            if known
        ),
    )


def _tokens(tasks: Sequence[SourceRecords], count: Callable[[str], int] | None) -> tuple[int | None, int | None, bool]:
    """Tokens read, tokens written, and whether they were counted here."""
    recorded = [
        sum(tokens or 0 for records in tasks for tokens in records.column(name))
        for name in ("prompt_tokens", "completion_tokens")
    ]
    if any(recorded):
        return recorded[0], recorded[1], False
    if count is None:
        return None, None, False
    texts = (text for records in tasks for text in records.column("text"))
    return None, sum(count(text) for text in texts if text), True


def per_cost(
    downstream: Sequence[Judgement],
    spent: Mapping[str, Cost],
    *,
    baseline: str,
    metrics: Sequence[str],
    price_model: str | None = None,
) -> tuple[Gain, ...]:
    """Each arm's improvement over the baseline with the same recommender, for what its texts cost.

    Arms whose texts cost nothing that is known, and so nothing that could be divided by, are left out.

    Args:
        downstream: how each arm did under each recommender.
        spent: arm -> what its texts cost.
        baseline: the arm to improve on.
        metrics: those wanted, in this order.
        price_model: by whose price dollars are counted; the last one listed by default.
    """
    means = {
        (judged.arm, judged.recommender, metric): judged.mean("all", metric)
        for judged in downstream
        for metric in metrics
    }
    gains = []
    for (arm, recommender, metric), mean in means.items():
        spending = spent.get(arm)
        if arm == baseline or spending is None:
            continue
        hours = None if spending.device_seconds is None else spending.device_seconds / 3600
        charge = _charged(spending.prices, price_model)
        usd = charge.usd if charge else None
        if hours is None and usd is None:
            continue
        gain = _improvement(metric, mean, means.get((baseline, recommender, metric)))
        gains.append(
            Gain(
                arm=arm,
                recommender=recommender,
                metric=metric,
                improvement_percent=gain,
                device_hours=hours,
                usd=usd,
                price_model=charge.model if charge else None,
                percent_per_device_hour=_per(gain, hours),
                percent_per_usd=_per(gain, usd),
            )
        )
    return tuple(gains)


def _charged(charges: Sequence[Charge], model: str | None) -> Charge | None:
    fitting = [charge for charge in charges if model is None or charge.model == model]
    return fitting[-1] if fitting else None


def _improvement(metric: str, value: float | None, over: float | None) -> float | None:
    """Percent by which a value is better than another; of a metric where less is better, by which it is lower."""
    return None if value is None or not over else Metric.parse(metric).sign * 100 * (value / over - 1)


def _per(gain: float | None, spent: float | None) -> float | None:
    return None if gain is None or not spent else gain / spent
