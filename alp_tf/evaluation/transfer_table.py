"""The result of a transfer attack: one row for each attack, source and target, and tables for papers."""

import dataclasses

import numpy as np

from alp_tf import markdown_table, names
from alp_tf.evaluation import json_ready, percent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """How one target fares on what was made on one source; accuracies are shares in [0, 1].

    Attributes:
      attack: its name; None is the worst case over all attacks, example by example.
      source: the model the images were made on; None is the worst case over all sources but the target itself.
      target: the model that classifies them.
      white_box: source and target are the same model, so that this is no black-box number.
      clean_accuracy: share classified correctly as they are.
      robust_accuracy: share classified correctly both as they are and after the attack.
      ci95: Wilson's 95 % interval of the robust accuracy.
      clean_top5, robust_top5: share whose label is among the five largest logits as they are, and both as they are
        and after the attack; None with five classes or fewer.
      targeted_success: share of the images that the target puts into the very class aimed at, whatever it made of
        them before (Kannan 5.3.3); None for untargeted attacks and worst cases.
      targeted_success_ci95: Wilson's 95 % interval of it.
    """

    attack: str | None
    source: str | None
    target: str
    white_box: bool
    clean_accuracy: float
    robust_accuracy: float
    ci95: tuple
    clean_top5: float | None
    robust_top5: float | None
    targeted_success: float | None
    targeted_success_ci95: tuple | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transfer:
    """What `black_box.transfer` measured; `print(transfer)` gives Markdown tables.

    Attributes:
      examples: how many images were attacked.
      attacks: {name: the attack's repr, which is its configuration}.
      threat_models: {name of the attack: such as `linf 0.3`}.
      sources, targets: names of the models.
      rows: of Row.
      seconds: time it took.
      seed: fixes the attacks' random starts.
    """

    examples: int
    attacks: dict
    threat_models: dict
    sources: tuple
    targets: tuple
    rows: tuple
    seconds: float
    seed: int

    def row(self, target, *, attack=None, source=None):
        """The Row of a target; attack and source None for the worst case over them.

        Raises:
          KeyError: there is none: an unknown name, or a worst case over sources for a target that has no source
            but itself.
        """
        for row in self.rows:
            if (row.target, row.attack, row.source) == (target, attack, source):
                return row
        raise KeyError(f"no row of target {target!r}, attack {attack!r} and source {source!r}")

    def worst(self, target):
        """The black-box Row of a target: an image counts only if it withstands every attack from every source.

        The target itself is no source here. None where there is no other.
        """
        try:
            return self.row(target)
        except KeyError:
            if target in self.targets:
                return None
            raise

    def matrix(self, attack=None):
        """Robust accuracies as an array, sources by targets; the white-box pairs are in it.

        Args:
          attack: its name; None for the worst case over the attacks.

        Returns:
          float64 [sources, targets], shares in [0, 1].
        """
        return np.array(
            [
                [self.row(target, attack=attack, source=source).robust_accuracy for target in self.targets]
                for source in self.sources
            ]
        )

    def to_dict(self):
        """JSON-ready; inverse of from_dict."""
        return json_ready.lists(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, found):
        """Inverse of to_dict."""
        found = json_ready.tuples(found)
        return cls(**{**found, "rows": tuple(Row(**row) for row in found["rows"])})

    def __str__(self):
        parts = [self._summary()]
        for name, threat_model in self.threat_models.items():
            title = f"{_cell(name)} ({threat_model})"
            parts.append(self._crossed(f"Robust accuracy, {title}", name, lambda row: percent(row.robust_accuracy)))
            if self.row(self.targets[0], attack=name, source=self.sources[0]).targeted_success is not None:
                parts.append(
                    self._crossed(f"Targeted success, {title}", name, lambda row: percent(row.targeted_success))
                )
        if any(row.white_box for row in self.rows):
            parts.append("*Italics*: source and target are the same model (white box); no part of the worst case.")
        return "\n\n".join(parts)

    def _summary(self):
        top5 = self.rows[0].clean_top5 is not None
        heads = ["target", "clean", "black box, worst case", "95 % interval"]
        heads += ["clean top 5", "black box top 5"] if top5 else []
        says = (
            f"Black-box accuracy on {self.examples:,} images: worst case over "
            f"{names.counted(len(self.attacks), 'attack')} and the sources that are not the target itself, image by "
            "image."
        )
        rows = []
        for target in self.targets:
            clean = self.row(target, attack=next(iter(self.attacks)), source=self.sources[0])
            worst = self.worst(target)
            cells = [_cell(target), percent(clean.clean_accuracy)]
            cells += (
                [percent(worst.robust_accuracy), f"{percent(worst.ci95[0])} to {percent(worst.ci95[1])}"]
                if worst
                else ["no other source", ""]
            )
            if top5:
                cells += [percent(clean.clean_top5), percent(worst.robust_top5) if worst else ""]
            rows.append(cells)
        return f"{says}\n\n{markdown_table.joined(heads, rows)}"

    def _crossed(self, title, attack, text):
        rows = []
        for source in self.sources:
            found = [self.row(target, attack=attack, source=source) for target in self.targets]
            rows.append([_cell(source), *(f"*{text(row)}*" if row.white_box else text(row) for row in found)])
        return f"{title}\n\n{markdown_table.joined(['source', *map(_cell, self.targets)], rows)}"


def _cell(name):
    # A bar in a name would open a column of its own.
    return name.replace("|", "\\|")
