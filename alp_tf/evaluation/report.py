"""What an evaluation found, in the form in which results.json holds it and in which it is printed."""

import dataclasses
import math
import typing

from alp_tf import markdown_table

_Z95 = 1.959963984540054
_MARKS = {"pass": "✓", "warn": "?", "fail": "✗", "skipped": "–"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One attack (or protocol) on one model.

    Attributes:
      name: what the attack is called in the table.
      threat_model: such as `linf 0.3`.
      attack: the attack's repr, which is its configuration.
      examples: how many images were attacked.
      clean_accuracy: share classified correctly as they are.
      robust_accuracy: share classified correctly both as they are and after the attack.
      ci95: Wilson's 95 % interval of the robust accuracy.
      seconds: time the attack took.
      seed: fixes the attack's random starts.
      top5_accuracy: share whose class is among the five largest logits before and after the attack; None for up to
        five classes, and with restarts or within a protocol, which leave an image alone once it is misclassified.
      targeted_success: share of all images that a targeted attack turned into its target class (Kannan 5.3.3 asks
        for it beside the accuracy); None for other attacks, with restarts and within a protocol.
      forward_passes, backward_passes: images that went through the model, for each of the examples; None where they
        were not counted.
    """

    name: str
    threat_model: str
    attack: str
    examples: int
    clean_accuracy: float
    robust_accuracy: float
    ci95: tuple
    seconds: float
    seed: int
    top5_accuracy: float | None = None
    targeted_success: float | None = None
    forward_passes: float | None = None
    backward_passes: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """What one test for masked gradients found.

    Attributes:
      test: what was looked for, as a short sentence.
      status: `pass`, `warn`, `fail`, or `skipped` where there was nothing to test on.
      number: what was measured.
      says: the number in words.
      advice: what to do about it; empty for a test that passed.
    """

    test: str
    status: str
    number: float | None
    says: str
    advice: str = ""


class Count(typing.NamedTuple):
    """How many tests for masked gradients were made (skipped ones are none), and of those failed and warned."""

    made: int
    failed: int
    warned: int


def counted(statuses):
    """Count of the `status` of Findings."""
    made = [status for status in statuses if status != "skipped"]
    return Count(len(made), made.count("fail"), made.count("warn"))


@dataclasses.dataclass(frozen=True)
class Report:
    """The evaluations of one model and the verdict on its gradients; `print(report)` is Markdown.

    Attributes:
      evaluations: tuple of Evaluation.
      masking: tuple of Finding.
      verdicts: {name of an evaluation, or `clean`: bool [examples]}, which images are right before and after it; not
        part of `to_dict`.
    """

    evaluations: tuple
    masking: tuple = ()
    verdicts: dict = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def to_dict(self):
        """JSON-ready: `evaluations` and `masking`, lists of dictionaries."""
        return {
            "evaluations": [{**dataclasses.asdict(item), "ci95": list(item.ci95)} for item in self.evaluations],
            "masking": [dataclasses.asdict(item) for item in self.masking],
        }

    @classmethod
    def from_dict(cls, dictionary):
        """Inverse of to_dict; other entries, as results.json has, are left alone."""
        evaluations = (Evaluation(**{**item, "ci95": tuple(item["ci95"])}) for item in dictionary["evaluations"])
        return cls(tuple(evaluations), tuple(Finding(**item) for item in dictionary.get("masking", ())))

    def __getitem__(self, name):
        found = {item.name: item for item in self.evaluations}
        if name not in found:
            raise KeyError(f"no evaluation {name!r}; there are {', '.join(found)}")
        return found[name]

    @property
    def doubts(self):
        """The tests for masked gradients that did not pass, the failed ones first."""
        return tuple(item for status in ("fail", "warn") for item in self.masking if item.status == status)

    def doubt(self, item):
        """What stands behind that evaluation's robust accuracy wherever it is printed; empty if nothing speaks
        against it.

        Args:
          item: Evaluation. Where nothing is left standing, there is nothing to doubt.
        """
        count = counted(finding.status for finding in self.masking)
        if not count.failed or item.robust_accuracy == 0:
            return ""
        return f" ✗ in doubt, {count.failed} of {count.made} tests for masked gradients failed"

    def __str__(self):
        return "\n\n".join(part for part in (self._table(), self.verdict()) if part)

    def _table(self):
        optional = {
            "top-5": [item.top5_accuracy for item in self.evaluations],
            "targeted success": [item.targeted_success for item in self.evaluations],
        }
        shown = {head: values for head, values in optional.items() if any(value is not None for value in values)}
        head = ["attack", "threat model", "images", "clean accuracy", "robust accuracy", "95 % interval", *shown]
        head += ["seconds", "passes an image"]
        rows = []
        for index, item in enumerate(self.evaluations):
            rows.append(
                [
                    item.name,
                    item.threat_model,
                    f"{item.examples:,}",
                    percent(item.clean_accuracy),
                    percent(item.robust_accuracy) + self.doubt(item),
                    f"{percent(item.ci95[0])} to {percent(item.ci95[1])}",
                    *("" if values[index] is None else percent(values[index]) for values in shown.values()),
                    f"{item.seconds:.1f}",
                    _passes(item),
                ]
            )
        return markdown_table.joined(head, rows, texts=2)

    def verdict(self):
        """The tests for masked gradients as a Markdown table, or an empty string where there were none."""
        if not self.masking:
            return ""
        count = counted(item.status for item in self.masking)
        if not count.made:
            sentence = "Masked gradients: there was nothing to test on"
        elif count.failed:
            sentence = (
                f"Masked gradients: {count.failed} of {count.made} tests failed. Do not trust gradient attacks here"
            )
        elif count.warned:
            sentence = f"Masked gradients: {count.warned} of {count.made} tests ask for a closer look"
        else:
            sentence = f"Masked gradients: none of {count.made} tests found any"
        rows = [
            f"| {_MARKS[item.status]} {item.status} | {item.test} | {item.says} | {item.advice} |"
            for item in self.masking
        ]
        return "\n".join([f"{sentence}.", "", "| verdict | test | found | what to do |", "|---|---|---|---|", *rows])


def wilson_interval(successes, trials):
    """Wilson's 95 % interval of a share: honest also near 0 and 1, where the normal approximation is not.

    Args:
      successes: how many of the trials succeeded.
      trials: at least 1.

    Returns:
      (low, high).

    Example:
      >>> low, high = wilson_interval(95, 100)
      >>> percent(low), percent(high)
      ('88.82 %', '97.85 %')
    """
    share, spread = successes / trials, _Z95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def percent(share):
    """`97.31 %`: two digits, as far as 10,000 images carry."""
    return f"{100 * share:.2f} %"


def _passes(item):
    if item.forward_passes is None:
        return ""
    return f"{item.forward_passes:,.0f} forward, {item.backward_passes:,.0f} backward"
