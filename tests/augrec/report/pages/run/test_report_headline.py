"""The sentences on top of the page say what the numbers allow, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from augrec.report.numbers.results import summarise
from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.pages.run.headline import Headline, find_headline
from augrec.report.pages.run.roles import PlannedVariant, Roles

USERS = 200


def variant(name: str, gain: float, spread: float = 0.001, seeds: int = 5, model: str = "llmrec") -> Trained:
    rng = np.random.default_rng(list(name.encode()))
    base = np.random.default_rng(0).beta(2, 3, USERS)
    offsets = np.linspace(-spread, spread, seeds)
    runs = {s: base + gain + offsets[s] + rng.normal(0, 0.05, USERS) for s in range(seeds)}
    metrics = {s: {"model": model, "test": {"recall@20": float(v.mean())}} for s, v in runs.items()}
    return Trained(name, metrics, np.arange(USERS), {"recall@20": np.mean(list(runs.values()), axis=0)})


def headline(*variants: Trained, plan: dict[str, PlannedVariant] | None = None, **options: Any) -> Headline:
    trained = {v.name: v for v in variants}
    chosen = ReportOptions(baseline=variants[0].name, secondary=(), bootstrap=200, **options)
    roles = Roles(trained, chosen, plan or {}, ["smollm2"])
    claim = roles.claim()
    controls = [(claim.name, control.name) for control in roles.controls(claim)] if claim else []
    return find_headline(trained, summarise(trained, chosen, controls), chosen, roles)


def test_a_clear_gain_is_called_better() -> None:
    without, llm = variant("llmrec-without", 0), variant("llmrec-smollm2", 0.05)
    found = headline(without, llm)
    assert found.lead == (
        f"llmrec-smollm2 reaches recall@20 {llm.mean('recall@20'):.4f} against {without.mean('recall@20'):.4f} for "
        "llmrec-without: better."
    )
    assert "interval +0.0" in found.evidence
    assert "No control of the same model" in found.details[0]


def test_no_difference_is_not_called_equality() -> None:
    found = headline(variant("llmrec-without", 0), variant("llmrec-smollm2", 0))
    assert found.lead.endswith(": equivalent.")
    assert found.evidence.endswith(" Equivalent: within ± 0.0084.")
    unsure = headline(variant("llmrec-without", 0), variant("llmrec-smollm2", 0), equivalence_margin=0.001)
    assert unsure.lead.endswith(": undecided.")
    why = " Undecided: neither a difference nor equivalence is shown; these users are likely to show"
    assert why in unsure.evidence
    assert "equal" not in unsure.evidence.replace("equivalence", "")


def test_a_loss_is_called_a_loss() -> None:
    found = headline(variant("llmrec-without", 0), variant("llmrec-smollm2", -0.05))
    assert found.lead.endswith(": worse.")


def test_a_gain_that_training_again_may_lose_says_so() -> None:
    found = headline(variant("llmrec-without", 0, 0), variant("llmrec-smollm2", 0.05, 0.1))
    assert found.lead.endswith(": undecided.")
    why = "ahead over users for these trained models, but not over seeds, so training again may not repeat it"
    assert why in found.evidence


def test_one_seed_says_that_seeds_are_untested() -> None:
    found = headline(variant("llmrec-without", 0, seeds=1), variant("llmrec-smollm2", 0.05, seeds=1))
    assert "untested over seeds (fewer than two seeds in common)" in found.evidence
    assert found.details[-1].startswith("With 1 seed the spread")


def closed_form(name: str, gain: float, seeds: int) -> Trained:
    """A variant without any randomness, trained with as many seeds."""
    one = variant(name, gain, seeds=1, model="ease")
    metrics = {seed: {**one.metrics[0], "deterministic": True} for seed in range(seeds)}
    return Trained(name, metrics, one.users, one.per_user)


@pytest.mark.parametrize(("gain", "spread"), [(0.05, 0.001), (0.05, 0.1), (-0.05, 0.001)])
def test_a_closed_form_is_judged_alike_with_one_seed_and_with_five(gain: float, spread: float) -> None:
    trained = variant("llmrec-without", 0, spread)
    found = [headline(trained, closed_form("ease", gain, seeds)) for seeds in (1, 5)]
    assert found[0].lead == found[1].lead
    assert found[0].evidence == found[1].evidence
    assert "over seeds p" in found[0].evidence
    assert ("undecided" in found[0].lead) == (spread == 0.1)
    assert not any("seed" in sentence for sentence in found[0].details[1:])


@pytest.mark.parametrize("seeds", [1, 5])
def test_nothing_is_better_while_a_test_is_missing(seeds: int) -> None:
    found = headline(variant("llmrec-without", 0, seeds=1), variant("llmrec-smollm2", 0.05, seeds=seeds))
    assert "Undecided: ahead over users, but untested over seeds" in found.evidence


@pytest.mark.parametrize("seeds", [1, 5])
def test_users_alone_decide_between_two_that_draw_nothing(seeds: int) -> None:
    found = headline(closed_form("popularity", 0, seeds), closed_form("ease", 0.05, seeds))
    assert "Better: neither draws anything, so the users alone decide" in found.evidence
    assert "over seeds" not in found.evidence


def above(name: str, other: Trained, gain: float, p: float, model: str = "llmrec") -> Trained:
    """A variant that is `gain` above another one with exactly this p over users, and a small one over seeds."""
    z = np.random.default_rng(list(name.encode())).standard_normal(USERS)
    z = (z - z.mean()) / z.std(ddof=1)
    values = other.per_user["recall@20"] + gain + z * gain * np.sqrt(USERS) / stats.t.isf(p / 2, USERS - 1)
    metrics = {
        seed: {"model": model, "test": {"recall@20": value + gain * (1 + 0.001 * seed)}}
        for seed, value in other.values("recall@20").items()
    }
    return Trained(name, metrics, other.users, {"recall@20": values})


def test_a_control_that_only_an_uncorrected_p_beats_is_not_beaten() -> None:
    claim = variant("llmrec-smollm2", 0.05)
    without, control = variant("llmrec-without", 0), above("llmrec-shuffled", claim, -0.01, p=0.03)
    others = [above(f"llmrec-random-{place}", claim, -0.01, p=0.9) for place in range(3)]
    assert headline(without, claim, control).controls[0].judged.word == "better"
    found = headline(without, claim, control, *others)
    assert not any(one.judged.word == "better" for one in found.controls)
    assert "llmrec-shuffled" in found.lead.partition("But")[2]


def test_the_claim_is_judged_by_the_corrected_p() -> None:
    without = variant("llmrec-without", 0)
    claim = above("llmrec-smollm2", without, 0.01, p=0.03)
    others = [above(f"other-{place}", without, 0.01, p=0.9, model="other") for place in range(3)]
    assert headline(without, claim).lead.endswith(": better.")
    assert "undecided" in headline(without, claim, *others).lead


def test_a_control_that_does_as_well_takes_the_claim_back() -> None:
    found = headline(variant("llmrec-without", 0), variant("llmrec-smollm2", 0.05), variant("llmrec-shuffled", 0.053))
    assert "But llmrec-shuffled is equivalent to it." in found.lead
    assert found.controls[0].reading.startswith("Does not show that the content")


def test_a_control_that_changes_nobody_s_value_takes_the_claim_back_and_is_no_equivalent() -> None:
    def kept(one: Trained, name: str, change: float = 0.0) -> Trained:
        values = one.per_user["recall@20"] + change * (np.arange(USERS) < 12)
        tables = {seed: {"recall@20": values + 0.001 * seed} for seed in one.metrics}
        metrics = {
            seed: {"model": "llmrec", "test": {"recall@20": v["recall@20"].mean()}} for seed, v in tables.items()
        }
        return Trained(name, metrics, one.users, {"recall@20": values}, tables)

    claim = kept(variant("llmrec-smollm2", 0.05), "llmrec-smollm2")
    found = headline(variant("llmrec-without", 0), claim, kept(claim, "llmrec-shuffled"))
    assert "But llmrec-shuffled is identical to it." in found.lead
    (control,) = found.controls
    assert control.reading.startswith("Does not show that the content")
    alone = headline(kept(claim, "llmrec-without"), claim, kept(claim, "llmrec-random"))
    assert alone.lead.endswith(": identical.")
    assert alone.evidence.endswith("Identical: every user has the same value with both in each of 5 trainings.")
    assert any("0 equivalent, 2 identical and 0 undecided" in sentence for sentence in alone.details)
    few = headline(kept(claim, "llmrec-without"), kept(claim, "llmrec-smollm2", 0.01))
    assert "12 of 200 users differ" in few.evidence


def test_a_control_that_is_beaten_supports_the_claim() -> None:
    found = headline(variant("llmrec-without", 0), variant("llmrec-smollm2", 0.1), variant("llmrec-heuristic", 0.05))
    assert "But" not in found.lead
    (control,) = found.controls
    assert (control.control, control.judged.word) == ("llmrec-heuristic", "better")
    assert control.reading == "Supports that the LLM adds anything to simple rules."
    assert control.mean == pytest.approx(0.4, abs=0.1)


def test_a_control_that_wins_refutes_the_claim() -> None:
    found = headline(variant("llmrec-without", 0), variant("llmrec-smollm2", 0.05), variant("llmrec-random", 0.1))
    (control,) = found.controls
    assert (control.control, control.judged.word) == ("llmrec-random", "worse")
    assert control.reading.startswith("Speaks against the claim that the content")


def test_a_control_that_wins_for_these_trainings_only_is_not_said_to_win() -> None:
    found = headline(
        variant("llmrec-without", 0), variant("llmrec-smollm2", 0.05), variant("llmrec-random", 0.1, spread=0.12)
    )
    (control,) = found.controls
    assert (control.control, control.judged.word) == ("llmrec-random", "undecided")
    assert control.judged.why.startswith("behind over users")
    assert "but not over seeds" in control.judged.why
    assert control.reading.startswith("Does not show that the content")


def test_a_simple_baseline_on_top_is_named() -> None:
    found = headline(variant("llmrec-without", 0), variant("llmrec-smollm2", 0.05), variant("ease", 0.2, model="ease"))
    assert any("highest mean of all variants is ease's" in sentence for sentence in found.details)
    assert any("2 better, 0 worse, 0 equivalent, 0 identical and 0 undecided" in sentence for sentence in found.details)


def test_a_single_variant_claims_nothing() -> None:
    assert (
        headline(variant("llmrec-without", 0)).lead == "Only one variant was trained, so there is nothing to compare."
    )


def test_the_plan_decides_what_is_claim_and_control_whatever_the_names() -> None:
    plan = {
        "plain": PlannedVariant("lightgcn"),
        "a": PlannedVariant("llmrec", "smollm2", {"user_profile": "shuffled"}),
        "b": PlannedVariant("llmrec", "smollm2"),
        "cc": PlannedVariant("llmrec", "smollm2", {"edges": "none", "user_profile": "none"}),
        "ddd": PlannedVariant("llmrec", "rules"),
        "eeee": PlannedVariant("llmrec"),
    }
    found = headline(*(variant(name, 0) for name in plan), plan=plan)
    assert found.lead.startswith("b reaches")
    assert [one.control for one in found.controls] == ["a", "cc", "ddd", "eeee"]
    profiles = ["the content of the user profiles", "the edges and user profiles help"]
    at_stake = [*profiles, "the LLM adds", "the augmentation helps"]
    assert all(text in one.reading for text, one in zip(at_stake, found.controls, strict=True))


def test_the_options_win_over_the_plan() -> None:
    plan = {name: PlannedVariant("llmrec", "smollm2") for name in ("base", "one", "other")}
    found = headline(*(variant(name, 0) for name in plan), plan=plan, claim="other", controls=("one",))
    assert found.lead.startswith("other reaches")
    assert [one.control for one in found.controls] == ["one"]
