"""What was found and how sure it is, in sentences made from the numbers by fixed rules.

The verdicts are the words of `augrec.report.numbers.verdicts`. A control that is not beaten is said to be not beaten:
the absence of a difference is never reported as equality.
"""

from __future__ import annotations

from dataclasses import dataclass

from augrec.artefacts.metrics import Metric
from augrec.report.numbers.comparison import Comparison
from augrec.report.numbers.results import Results
from augrec.report.numbers.variants import Trained
from augrec.report.numbers.verdicts import WORDS, Verdict, evidence, verdict
from augrec.report.options import ReportOptions
from augrec.report.pages.run.roles import Roles
from augrec.report.render.wording import counted, listed, number


@dataclass(frozen=True)
class ControlFinding:
    """The claim beside one control: the verdict on the claim, and what follows from it."""

    control: str
    mean: float
    compared: Comparison
    judged: Verdict
    reading: str


@dataclass(frozen=True)
class Headline:
    """What the page says first.

    Attributes:
        lead: the verdict in one sentence.
        evidence: the numbers behind it, and why it is no other word.
        details: further findings, one sentence each.
        controls: what the claim's controls say, in their order.
    """

    lead: str
    evidence: str
    details: tuple[str, ...]
    controls: tuple[ControlFinding, ...] = ()


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
        judged = self._verdict(versus)
        lead += f": {judged.word}"
        controls = self.roles.controls(claim)
        if judged.sign > 0:
            lead += self._but(controls)
        details = []
        if not controls:
            details.append(
                f"No control of the same model stands beside {claim.name}, so what causes a difference stays open."
            )
        numbers = evidence(versus, self.options.alpha)
        why = f" {judged.word.capitalize()}: {judged.why}." if judged.why else ""
        return Headline(
            f"{lead}.",
            f"{numbers[:1].upper()}{numbers[1:]}.{why}",
            (*details, *self._overview()),
            tuple(self._control(control) for control in controls),
        )

    @property
    def _metric(self) -> Metric:
        return Metric.parse(self.options.primary)

    def _mean(self, variant: Trained) -> float:
        return variant.mean(self.options.primary)

    def _against(self, control: Trained) -> Comparison:
        return self.results.controls[self.claim.name, control.name]

    def _verdict(self, versus: Comparison) -> Verdict:
        return verdict(versus, self.options.primary, self.options.alpha)

    def _but(self, controls: list[Trained]) -> str:
        """The controls between a better variant and its cause, by what is known of them."""
        found = {control.name: self._verdict(self._against(control)).word for control in controls}
        parts = []
        told_of = {"worse": "better still", "equivalent": "equivalent to it", "identical": "identical to it"}
        for word, told in (told_of | {"undecided": "not beaten"}).items():
            names = [name for name, verdict_on in found.items() if verdict_on == word]
            parts += [f"{listed(names)} {'is' if len(names) == 1 else 'are'} {told}"] if names else []
        return f". But {', and '.join(parts)}" if parts else ""

    def _control(self, control: Trained) -> ControlFinding:
        versus, at_stake = self._against(control), self.roles.at_stake(self.claim, control)
        judged = self._verdict(versus)
        reading = {1: f"Supports that {at_stake}.", -1: f"Speaks against the claim that {at_stake}."}.get(
            judged.sign, f"Does not show that {at_stake}."
        )
        return ControlFinding(control.name, self._mean(control), versus, judged, reading)

    def _overview(self) -> list[str]:
        sentences = []
        baseline = self.options.baseline
        others = [self.results.of(name, self.options.primary) for name in self.trained if name != baseline]
        if len(others) > 1:
            found = [self._verdict(versus).word for versus in others]
            counts = listed([f"{found.count(word)} {word}" for word in WORDS])
            sentences.append(f"Of the {len(others)} variants compared with {baseline}, {counts}.")
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
