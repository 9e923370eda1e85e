"""The pieces of work that an exhibit takes: models to train, and what is measured on them.

Exhibits that need the same piece share it.
"""

import dataclasses

from alp_tf import names
from alp_tf.reproduction import budgets, kannan, shafahi
from alp_tf.reproduction.budgets import Model
from alp_tf.reproduction.exhibit import BLACK_BOX, CLEAN

TABLES = kannan.TABLES | shafahi.TABLES
FIGURES = kannan.FIGURES | shafahi.FIGURES
_COPIES_FROM = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One piece of work, resumable by itself.

    Attributes:
      kind: `train`, `attack`, `black box`, `protocol`, `steps` or `surface`.
      model: Model that is trained or measured.
      name: of the attack or the protocol.
      source: Model that makes the images of a black box.
    """

    kind: str
    model: Model
    name: str = ""
    source: Model | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made.

    Attributes:
      exhibit: Exhibit.
      budget: one of budgets.BUDGETS.
      seeds: tuple of int; the strong protocols are measured on the first.
      copies: how many independent copies make the black-box images, one after the other for the seeds.
    """

    exhibit: object
    budget: str
    seeds: tuple
    copies: int

    def model(self, row, seed):
        """The Model of a row; the same for all rows, of all exhibits, that are trained alike."""
        return budgets.simplified(Model(row.experiment, tuple(row.changes.items()), seed), self.budget)

    def sources(self, row, seed):
        """The Models that make a row's black-box images: those it names, or a copy from a seed of its own."""
        seed = _COPIES_FROM + self.seeds[self.seeds.index(seed) % self.copies]
        if row.sources:
            return tuple(Model(name, (), seed) for name in row.sources)
        return (dataclasses.replace(self.model(row, 0), seed=seed),)

    def parts(self):
        """Every Part once, in the order of work: what a part needs comes before it."""
        found = [part for seed in self.seeds for row in self.exhibit.rows for part in self._of_row(row, seed)]
        return list(dict.fromkeys(found))

    def attack_parts(self, row, seed, column):
        """The parts whose lowest accuracy fills a cell; for clean accuracy, those that say it along the way."""
        model = self.model(row, seed)
        if column.kind == BLACK_BOX:
            return [
                Part(kind="black box", model=model, name=attack, source=source)
                for source in self.sources(row, seed)
                for attack in column.attacks
            ]
        attacks = column.attacks
        if column.kind == CLEAN:
            # Every attack's evaluation has the clean accuracy.
            attacks = next(each.attacks for each in self.exhibit.columns if each.attacks)[:1]
        return [Part(kind="attack", model=model, name=attack) for attack in attacks]

    def protocol_parts(self, row):
        """{protocol: part} of the strong protocols, on the first seed."""
        if not self.exhibit.strong:
            return {}
        model = self.model(row, self.seeds[0])
        return {name: Part(kind="protocol", model=model, name=name) for name in ("autoattack", "strong")}

    def drawn_part(self, row, seed):
        """The part of a figure that is not made of accuracies, or None."""
        kind = self.exhibit.drawing
        return Part(kind=kind, model=self.model(row, seed)) if kind in ("steps", "surface") else None

    def _of_row(self, row, seed):
        yield from _training(self.model(row, seed))
        for column in self.exhibit.columns:
            for part in self.attack_parts(row, seed, column):
                if part.source:
                    yield from _training(part.source)
                yield part
        # Pictures show one model.
        first = seed == self.seeds[0]
        if self.exhibit.drawing == "surface" and not first:
            return
        drawn = self.drawn_part(row, seed)
        if drawn:
            yield drawn
        if first:
            yield from self.protocol_parts(row).values()


def order(kind, name, *, budget, seeds, copies):
    """The Order of a table or a figure.

    Args:
      kind: `table` or `figure`.
      name: such as `kannan/1`.
      budget: one of budgets.BUDGETS.
      seeds: tuple of int.
      copies: at least 1.

    Raises:
      ValueError: no such exhibit, or none on that budget.
    """
    exhibit = names.lookup(kind, name, TABLES if kind == "table" else FIGURES)
    if budget not in exhibit.budgets:
        largest = exhibit.budgets[-1]
        why = (
            "it is not in the paper"
            if largest == "laptop"
            else f"{exhibit.dataset} has the paper's alone, for a cluster"
        )
        raise ValueError(
            f"{kind} {name} cannot be made on the budget {budget!r}: {why}. Write --budget={largest}, or "
            "--budget=smoke to see everything run"
        )
    if not 1 <= copies <= len(seeds):
        raise ValueError(f"--copies is {copies}; it must be from 1 to the number of seeds, {len(seeds)}")
    return Order(exhibit=exhibit, budget=budget, seeds=seeds, copies=copies)


def needed_first(model):
    """The Models whose files a model's training reads."""
    start = budgets.start_of(model)
    return (*learnt_from(model), *([start] if start else ()))


def learnt_from(model):
    """The Models that adversarial examples of a model's training come from."""
    return tuple(
        Model(experiment, tuple(changes.items()), model.seed)
        for experiment, changes in kannan.SOURCES.get(model.experiment, ())
    )


def training(model):
    """The Part that trains a model."""
    return Part(kind="train", model=model)


def before(part):
    """The trainings whose models a part reads."""
    models = needed_first(part.model) if part.kind == "train" else (part.model, part.source)
    return tuple(training(model) for model in models if model)


def said(part):
    """A part in a word or two."""
    if part.kind == "train":
        return "train"
    return {"black box": f"black box {part.name}", "steps": "attack steps", "surface": "loss surface"}.get(
        part.kind, part.name
    )


def _training(model):
    for needed in needed_first(model):
        yield from _training(needed)
    yield training(model)
