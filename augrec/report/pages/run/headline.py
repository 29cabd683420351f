"""What was found and how sure it is, in sentences made from the numbers by fixed rules.

A difference counts as found only when it is significant over users (after Holm's correction) *and* over seeds; where
one of the two tests is missing nothing is claimed. A control that is not beaten is said to be not beaten: the absence
of a difference is never reported as equality.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from augrec.report.numbers.results import Comparison, Summaries, compare
from augrec.report.numbers.runs import Trained
from augrec.report.numbers.statistics import decided, holm
from augrec.report.options import ReportOptions
from augrec.report.pages.run.roles import Roles
from augrec.report.render.wording import counted, interval, listed, number, p_equals, signed


@dataclass(frozen=True)
class Headline:
    """`lead` is one sentence, `evidence` the numbers behind it; `details` follow, one finding each."""

    lead: str
    evidence: str
    details: tuple[str, ...]


def find_headline(trained: dict[str, Trained], summaries: Summaries, options: ReportOptions, roles: Roles) -> Headline:
    """Says whether the claimed variant beats the baseline and the controls, and what else stands out."""
    claim = roles.claim()
    if claim is None:
        return Headline("Only one variant was trained, so there is nothing to compare.", "", ())
    versus = summaries[claim.name, options.primary].versus
    means = number(claim.mean(options.primary)), number(trained[options.baseline].mean(options.primary))
    lead = f"{claim.name} reaches {options.primary} {means[0]} against {means[1]} for {options.baseline}"
    lead += f": {_verdict(versus, options)}"
    controls = roles.controls(claim)
    against = _against_controls(claim, controls, options)
    if _better(versus, options):
        lead += _but(claim, controls, against, options)
    details = [
        _control(claim, control, result, options, roles.at_stake(claim, control), len(controls))
        for control, result in zip(controls, against, strict=True)
    ]
    if not controls:
        details.append(
            f"No control of the same model stands beside {claim.name}, so what causes a difference stays open."
        )
    return Headline(
        lead=lead + ".",
        evidence=_capital(_evidence(versus, options, len(trained) - 1)) + ".",
        details=(*details, *_overview(trained, summaries, options, claim)),
    )


def _but(claim: Trained, controls: list[Trained], against: list[Comparison], options: ReportOptions) -> str:
    """The controls that stand between a better variant and its cause: those as high, and those not reliably beaten."""
    unbeaten = [c for c, result in zip(controls, against, strict=True) if not _better(result, options)]
    high = [c.name for c in unbeaten if c.mean(options.primary) >= claim.mean(options.primary)]
    rest = [c.name for c in unbeaten if c.name not in high]
    parts = [f"{listed(high)} {'does' if len(high) == 1 else 'do'} as well"] if high else []
    parts += [f"{listed(rest)} {'is' if len(rest) == 1 else 'are'} not reliably beaten"] if rest else []
    return f". But {', and '.join(parts)}" if parts else ""


def _against_controls(claim: Trained, controls: list[Trained], options: ReportOptions) -> list[Comparison]:
    results = [compare(claim, control, [options.primary], options)[options.primary] for control in controls]
    corrected = holm([result.p_users for result in results])
    return [replace(result, p_users_holm=p) for result, p in zip(results, corrected, strict=True)]


def _evidence(versus: Comparison, options: ReportOptions, holm_over: int) -> str:
    parts = [f"difference {signed(versus.difference)}"]
    if versus.ci_low is not None:
        parts.append(f"{100 * (1 - options.alpha):g}\u00a0% interval {interval(versus.ci_low, versus.ci_high)}")
    if versus.p_users_holm is not None:
        correction = f" (Holm over {holm_over})" if holm_over > 1 else ""
        parts.append(f"over users {p_equals(versus.p_users_holm)}{correction}")
    if versus.p_seeds is not None:
        parts.append(f"over seeds {p_equals(versus.p_seeds)}")
    return ", ".join(parts)


def _better(versus: Comparison, options: ReportOptions, sign: int = 1) -> bool:
    """Significantly above (`sign` -1: below), over users and over seeds."""
    return decided(versus.difference, versus.p_users_holm, versus.p_seeds, options.alpha) == sign


def _verdict(versus: Comparison, options: ReportOptions) -> str:
    if versus.p_users_holm is None:
        return f"no test is possible ({versus.users_reason})"
    if versus.p_users_holm >= options.alpha:
        return "no significant difference"
    direction = "better" if (versus.difference or 0) > 0 else "worse"
    if versus.p_seeds is None:
        side = "above" if direction == "better" else "below"
        return f"{side} over users, but untested over seeds ({versus.seeds_reason}), so neither is called better"
    if versus.p_seeds >= options.alpha:
        return (
            f"{direction} over users for these trained models, but not over seeds, so training again may not repeat it"
        )
    return f"significantly {direction}, over users and over seeds"


def _control(
    claim: Trained, control: Trained, versus: Comparison, options: ReportOptions, at_stake: str, controls: int
) -> str:
    mean, evidence = number(control.mean(options.primary)), _evidence(versus, options, controls)
    facts = f"{mean}; {claim.name} minus {control.name}: {evidence}"
    if _better(versus, options):
        return f"{claim.name} beats the control {control.name} ({facts}). This supports that {at_stake}."
    if _better(versus, options, sign=-1):
        return (
            f"The control {control.name} does better than {claim.name} ({facts}). "
            f"This run speaks against the claim that {at_stake}."
        )
    p, high = versus.p_users_holm, control.mean(options.primary) >= claim.mean(options.primary)
    if p is None:
        relation = f"cannot be tested against ({versus.users_reason})"
    elif p < options.alpha:
        seeds = f"is untested over seeds ({versus.seeds_reason})" if versus.p_seeds is None else "not over seeds"
        relation = f"is {'above' if high else 'below'} over users but {seeds}"
    else:
        relation = "does as well" if high else "cannot be told apart"
    return f"The control {control.name} {relation} ({facts}). This run does not show that {at_stake}."


def _overview(trained: dict[str, Trained], summaries: Summaries, options: ReportOptions, claim: Trained) -> list[str]:
    sentences = []
    others = [summaries[name, options.primary].versus for name in trained if name != options.baseline]
    if len(others) > 1:
        above, below = (sum(_better(versus, options, sign) for versus in others) for sign in (1, -1))
        sentences.append(
            f"Of the {len(others)} variants compared with {options.baseline}, {above} are significantly better over "
            f"users, {below} significantly worse, each over seeds too, and {len(others) - above - below} not "
            "distinguishable by both tests."
        )
    best = max(trained.values(), key=lambda variant: variant.mean(options.primary))
    if best.name not in (claim.name, options.baseline):
        mean = number(best.mean(options.primary))
        sentences.append(f"The highest mean of all variants is {best.name}'s, {mean}, not {claim.name}'s.")
    seeds = min((len(variant.metrics) for variant in trained.values() if not variant.deterministic), default=5)
    if seeds < 5:
        fewest = counted(seeds, "seed")
        sentences.append(f"With {fewest} the spread of training is known poorly; five seeds or more are advisable.")
    return sentences


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
