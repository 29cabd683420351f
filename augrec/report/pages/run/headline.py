"""What was found and how sure it is, in sentences made from the numbers by fixed rules.

A difference counts as found only when it is significant over users (after Holm's correction) *and* over seeds; where
one of the two tests is missing nothing is claimed. A control that is not beaten is said to be not beaten: the absence
of a difference is never reported as equality.
"""

from __future__ import annotations

from dataclasses import dataclass

from augrec.artefacts.metrics import Metric
from augrec.report.numbers.comparison import Comparison, Verdict, verdict
from augrec.report.numbers.results import Results
from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.pages.run.roles import Roles
from augrec.report.render.wording import counted, interval, listed, number, p_equals, signed


@dataclass(frozen=True)
class Headline:
    """`lead` is one sentence, `evidence` the numbers behind it; `details` follow, one finding each."""

    lead: str
    evidence: str
    details: tuple[str, ...]


def find_headline(trained: dict[str, Trained], results: Results, options: ReportOptions, roles: Roles) -> Headline:
    """Says whether the claimed variant beats the baseline and the controls, and what else stands out.

    `results.controls` has the comparisons of `roles.claim()` to `roles.controls(claim)`.
    """
    claim = roles.claim()
    if claim is None:
        return Headline("Only one variant was trained, so there is nothing to compare.", "", ())
    return _Writer(trained, results, options, roles, claim).headline()


@dataclass(frozen=True)
class _Writer:
    """Sentences about one claim."""

    trained: dict[str, Trained]
    results: Results
    options: ReportOptions
    roles: Roles
    claim: Trained

    def headline(self) -> Headline:
        claim, options = self.claim, self.options
        versus = self.results.of(claim.name, options.primary)
        means = number(self._mean(claim)), number(self._mean(self.trained[options.baseline]))
        lead = f"{claim.name} reaches {options.primary} {means[0]} against {means[1]} for {options.baseline}"
        lead += f": {self._relation(versus)}"
        controls = self.roles.controls(claim)
        if self._verdict(versus).sign > 0:
            lead += self._but(controls)
        details = [self._control(control) for control in controls]
        if not controls:
            details.append(
                f"No control of the same model stands beside {claim.name}, so what causes a difference stays open."
            )
        evidence = self._evidence(versus)
        return Headline(f"{lead}.", f"{evidence[:1].upper()}{evidence[1:]}.", (*details, *self._overview()))

    @property
    def _metric(self) -> Metric:
        return Metric.parse(self.options.primary)

    def _mean(self, variant: Trained) -> float:
        return variant.mean(self.options.primary)

    def _against(self, control: Trained) -> Comparison:
        return self.results.controls[self.claim.name, control.name]

    def _verdict(self, versus: Comparison) -> Verdict:
        return verdict(versus, self.options.primary, self.options.alpha)

    def _as_good(self, control: Trained) -> bool:
        """Whether a control's mean is as good as the claim's, or better."""
        return not self._metric.better(self._mean(self.claim), self._mean(control))

    def _but(self, controls: list[Trained]) -> str:
        """The controls between a better variant and its cause: those as good, and those not reliably beaten."""
        unbeaten = [control for control in controls if self._verdict(self._against(control)).sign <= 0]
        good = [control.name for control in unbeaten if self._as_good(control)]
        rest = [control.name for control in unbeaten if control.name not in good]
        parts = [f"{listed(good)} {'does' if len(good) == 1 else 'do'} as well"] if good else []
        parts += [f"{listed(rest)} {'is' if len(rest) == 1 else 'are'} not reliably beaten"] if rest else []
        return f". But {', and '.join(parts)}" if parts else ""

    def _evidence(self, versus: Comparison) -> str:
        parts = [f"difference {signed(versus.difference)}"]
        if versus.ci_low is not None:
            level = f"{100 * (1 - self.options.alpha):g}\u00a0%"
            parts.append(f"{level} interval {interval(versus.ci_low, versus.ci_high)}")
        if versus.p_users_holm is not None:
            parts.append(f"over users {p_equals(versus.p_users_holm)} (Holm)")
        if versus.p_seeds is not None:
            parts.append(f"over seeds {p_equals(versus.p_seeds)}")
        return ", ".join(parts)

    def _relation(self, versus: Comparison) -> str:
        judged = self._verdict(versus)
        if judged.users is None:
            return f"no test is possible ({versus.users_reason})"
        if not judged.users:
            return "no significant difference"
        direction = "better" if judged.direction > 0 else "worse"
        if judged.seeds is None:
            side = "above" if (versus.difference or 0) > 0 else "below"
            return f"{side} over users, but untested over seeds ({versus.seeds_reason}), so neither is called better"
        if not judged.seeds:
            return (
                f"{direction} over users for these trained models, but not over seeds, so training again may not "
                "repeat it"
            )
        return f"significantly {direction}, over users and over seeds"

    def _control(self, control: Trained) -> str:
        claim, versus, at_stake = self.claim, self._against(control), self.roles.at_stake(self.claim, control)
        judged = self._verdict(versus)
        facts = f"{number(self._mean(control))}; {claim.name} minus {control.name}: {self._evidence(versus)}"
        if judged.sign > 0:
            return f"{claim.name} beats the control {control.name} ({facts}). This supports that {at_stake}."
        if judged.sign < 0:
            return (
                f"The control {control.name} does better than {claim.name} ({facts}). "
                f"This run speaks against the claim that {at_stake}."
            )
        if judged.users is None:
            relation = f"cannot be tested against ({versus.users_reason})"
        elif judged.users:
            seeds = f"is untested over seeds ({versus.seeds_reason})" if judged.seeds is None else "not over seeds"
            side = "above" if self._mean(control) >= self._mean(claim) else "below"
            relation = f"is {side} over users but {seeds}"
        else:
            relation = "does as well" if self._as_good(control) else "cannot be told apart"
        return f"The control {control.name} {relation} ({facts}). This run does not show that {at_stake}."

    def _overview(self) -> list[str]:
        sentences = []
        baseline = self.options.baseline
        others = [self.results.of(name, self.options.primary) for name in self.trained if name != baseline]
        if len(others) > 1:
            above, below = (sum(self._verdict(versus).sign == sign for versus in others) for sign in (1, -1))
            sentences.append(
                f"Of the {len(others)} variants compared with {baseline}, {above} are significantly better over "
                f"users, {below} significantly worse, each over seeds too, and {len(others) - above - below} not "
                "distinguishable by both tests."
            )
        best_mean = self._metric.best(self._mean(variant) for variant in self.trained.values())
        best = next((v for v in self.trained.values() if self._mean(v) == best_mean), self.claim)
        if best.name not in (self.claim.name, baseline):
            extreme = "lowest" if self._metric.lower_is_better else "highest"
            sentences.append(
                f"The {extreme} mean of all variants is {best.name}'s, {number(best_mean)}, not {self.claim.name}'s."
            )
        seeds = min((len(v.metrics) for v in self.trained.values() if not v.deterministic), default=5)
        if seeds < 5:
            fewest = counted(seeds, "seed")
            sentences.append(f"With {fewest} the spread of training is known poorly; five seeds or more are advisable.")
        return sentences
