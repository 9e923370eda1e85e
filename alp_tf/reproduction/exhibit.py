"""What a table or a figure of a paper is made of, as data: its rows are models, its columns measurements."""

import dataclasses

# What may fill a column: the accuracy on the images as they are; under attacks of the model itself; or under attacks
# of an independently initialised copy, or of the row's own sources.
CLEAN, WHITE_BOX, BLACK_BOX = "clean", "white box", "black box"


@dataclasses.dataclass(frozen=True)
class Scaled:
    """The experiment's own value times a factor, which means the same on every budget."""

    factor: float


@dataclasses.dataclass(frozen=True)
class Trained:
    """In place of `train.start_from`: a model that is trained before, from the row's own seed.

    Attributes:
      experiment: name of the file in experiments/.
      changes: tuple of (dotted field, value or Scaled).
    """

    experiment: str
    changes: tuple = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One measurement.

    Attributes:
      label: as the paper prints it.
      kind: CLEAN, WHITE_BOX or BLACK_BOX.
      attacks: names in `measuring.attacks_of(dataset)`; of several, the lowest accuracy counts.
      top5: whether the five largest logits count.
    """

    label: str
    kind: str
    attacks: tuple = ()
    top5: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One model and what the paper says of it.

    Attributes:
      label: as the paper prints it; unique in its exhibit.
      experiment: name of the file in experiments/.
      changes: {dotted field: value, Scaled or Trained}, what a sweep changes in it.
      published: {label of a column: per cent as printed}; a column that is not there was not printed.
      sources: experiments whose models make the black-box images, in place of a copy of the model itself.
      series, x: curve of a figure, and where on it; x None is a horizontal line.
    """

    label: str
    experiment: str
    changes: dict = dataclasses.field(default_factory=dict)
    published: dict = dataclasses.field(default_factory=dict)
    sources: tuple = ()
    series: str = ""
    x: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One table or figure.

    Attributes:
      name: `kannan/1`.
      kind: `table` or `figure`.
      title: what it shows.
      dataset: name of the data set.
      columns: tuple of Column.
      rows: tuple of Row.
      note: what a reader must know of it, in Markdown; may be empty.
      drawing: of a figure: `sweep` (accuracy against x), `steps` (accuracy against the attack's steps) or `surface`.
      x_label: of a sweep.
      budgets: on which it can be made.
      strong: whether each row is also measured under the protocols `strong` and `autoattack`.
    """

    name: str
    kind: str
    title: str
    dataset: str
    columns: tuple = ()
    rows: tuple = ()
    note: str = ""
    drawing: str = ""
    x_label: str = ""
    budgets: tuple = ("smoke", "laptop", "paper")
    strong: bool = True

    @property
    def paper(self):
        """`kannan` or `shafahi`."""
        return self.name.split("/")[0]

    @property
    def stem(self):
        """The name of its files, such as `table1`."""
        return f"{self.kind}{self.name.split('/')[1]}"

    def column(self, label):
        """The column of that label."""
        return next(column for column in self.columns if column.label == label)


def by_name(*exhibits):
    """{name: exhibit}."""
    return {exhibit.name: exhibit for exhibit in exhibits}
