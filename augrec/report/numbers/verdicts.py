"""The one rule that calls a variant better, worse, equivalent, identical or undecided, in words of every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from augrec.artefacts.metrics import Metric
from augrec.report.numbers.comparison import Comparison
from augrec.report.render.wording import count, counted, interval, number, p_equals, per_cent, signed, signed_percent

Word = Literal["better", "worse", "equivalent", "identical", "undecided"]
WORDS: tuple[Word, ...] = ("better", "worse", "equivalent", "identical", "undecided")
FEW = 0.1
"""Up to this share of users, it is said how many differ at all."""


@dataclass(frozen=True)
class Verdict:
    """What a comparison decides.

    Attributes:
        word: the verdict.
        users: whether a difference is shown over users, after correction; None: no test is possible.
        seeds: whether one is shown over seeds, without correction; None: no test is possible, or none is needed.
        why: a clause that follows the word after a colon; empty where there is nothing to add.
    """

    word: Word
    users: bool | None
    seeds: bool | None
    why: str = ""

    @property
    def sign(self) -> int:
        """1 better, -1 worse, 0 neither."""
        return {"better": 1, "worse": -1}.get(self.word, 0)

    @property
    def shown(self) -> bool:
        """Whether a test shows it."""
        return self.word not in ("identical", "undecided")

    @property
    def sentence(self) -> str:
        """The word and its reason: "undecided: ..."."""
        return f"{self.word}: {self.why}" if self.why else self.word


def verdict(compared: Comparison, metric: str, alpha: float) -> Verdict:
    """What a comparison decides at a level, by the direction of its metric.

    Equivalent goes before better and worse: the margin is what was declared to matter, and a difference that is shown
    to be smaller does not, even where it is shown not to be zero. Identical goes before all: nothing was tested.
    """
    if compared.identical:
        return Verdict("identical", None, None, _identical(compared))
    direction = Metric.parse(metric).sign * int(np.sign(compared.difference or 0.0))
    users, seeds = _below(compared.p_users_holm, alpha), _below(compared.p_seeds, alpha)
    same_users, same_seeds = (
        _below(p, alpha) for p in (compared.p_equivalence_users_holm, compared.p_equivalence_seeds)
    )
    alone = "neither draws anything, so the users alone decide" if compared.fixed else ""
    differs = bool(users and (seeds or compared.fixed) and direction)
    if same_users and (same_seeds or compared.fixed):
        side = f"{_side(direction)}, but by less than the margin of {_margin(compared)}" if differs else ""
        return Verdict("equivalent", users, seeds, side or f"within ± {_margin(compared)}")
    if differs:
        return Verdict("better" if direction > 0 else "worse", users, seeds, alone)
    return Verdict("undecided", users, seeds, _undecided(compared, direction, users, seeds))


def _below(p: float | None, alpha: float) -> bool | None:
    return None if p is None else p < alpha


def _undecided(compared: Comparison, direction: int, users: bool | None, seeds: bool | None) -> str:
    """Why a comparison decides nothing."""
    if users is None:
        return f"no test is possible ({compared.users_reason})"
    if users and seeds is None:
        return f"{_side(direction)} over users, but untested over seeds ({compared.seeds_reason})"
    if users:
        return (
            f"{_side(direction)} over users for these trained models, but not over seeds, so training again may not "
            "repeat it"
        )
    nothing = "neither a difference nor equivalence is shown"
    if compared.detectable_users is not None:
        nothing += f"; these users are likely to show a difference of {number(compared.detectable_users)} or more"
    return nothing


def _identical(compared: Comparison) -> str:
    """What it says that every user has the same value."""
    what = "every user has zero with both" if compared.reference == 0 else "every user has the same value with both"
    if compared.fixed:
        return f"{what}, and training again repeats it"
    trainings = compared.paired_seeds * compared.paired_draws
    return f"{what} in each of {trainings} trainings" if trainings > 1 else f"{what}, each trained once"


def _side(direction: int) -> str:
    return "ahead" if direction > 0 else "behind"


def _margin(compared: Comparison) -> str:
    return number(compared.margin)


def evidence(compared: Comparison, alpha: float) -> str:
    """The numbers behind a verdict, in one clause.

    Args:
        compared: after correction.
        alpha: the interval covers 1 - alpha.
    """
    parts = [f"difference {signed(compared.difference)}"]
    if compared.relative is not None:
        parts[0] += f" ({signed_percent(compared.relative)})"
    if few := few_differ(compared):
        parts.append(few)
    if compared.family_low is not None:
        ends = interval(compared.family_low, compared.family_high)
        parts.append(f"{per_cent(1 - alpha)} simultaneous interval {ends}")
    if compared.effect is not None:
        parts.append(f"d_z {signed(compared.effect, 2)}")
    if compared.p_users_holm is not None:
        seen = f"{number(compared.detectable_users)} is detectable"
        parts.append(f"over users {p_equals(compared.p_users_holm)} (Holm; {seen})")
    if compared.p_seeds is not None:
        parts.append(f"over seeds {p_equals(compared.p_seeds)} ({number(compared.detectable_seeds)} is detectable)")
    return ", ".join(parts)


def few_differ(compared: Comparison) -> str:
    """How many users differ at all, where these are few, so that a mean says little of most; "" else."""
    differ = compared.n_differ or 0
    if not 0 < differ <= FEW * compared.n_users:
        return ""
    return f"{count(differ)} of {counted(compared.n_users, 'user')} {'differs' if differ == 1 else 'differ'}"


def definitions(alpha: float, margin: float) -> Sequence[tuple[Word, str]]:
    """What each word means, for the page.

    Args:
        alpha: the level.
        margin: that of equivalence, as a share of the mean of the variant that is compared with.
    """
    level, share = per_cent(alpha), per_cent(margin)
    both = (
        f"over users (after Holm's correction) and over seeds, with which the draws of a language model count where it "
        f"was asked several times, each at {level}; of two variants that draw nothing the "
        "users alone decide, because training again repeats the difference exactly"
    )
    return (
        ("better", f"the mean is better, by the direction of the metric, and a difference is shown {both}."),
        ("worse", "the same the other way round."),
        (
            "equivalent",
            f"the difference is shown to be smaller than the margin, which is {share} of the mean of what it is "
            "compared with and was declared before the run: two one-sided t-tests, in the same way over users and over "
            "seeds. A difference that is shown, and shown to be smaller than the margin, is equivalent too.",
        ),
        (
            "identical",
            "every user has the same value with both, with every seed: whatever sets the two apart, this metric does "
            "not see it. Nothing is tested, and nothing is said of other users.",
        ),
        (
            "undecided",
            "none of these is shown. It says that the test set, or the number of seeds, is too small to tell, not that "
            "the two are alike.",
        ),
    )
