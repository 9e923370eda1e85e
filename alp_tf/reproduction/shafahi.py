"""Tables 1 to 4 and Figures 1 to 5 of Shafahi et al. 2019, with the figures that they print."""

from alp_tf.reproduction.exhibit import CLEAN, WHITE_BOX, Column, Exhibit, Row, Scaled, by_name

_TEST = Column(label="Test", kind=CLEAN)


def _attacks(*labels):
    """Columns as the tables head them: `20-xent` is PGD of 20 steps, `20-CW` the same on Carlini and Wagner's loss."""
    columns = []
    for label in labels:
        steps, loss = label.split("-")
        attack = f"PGD-{steps}" + (" CW" if loss.lower() == "cw" else "")
        columns.append(Column(label=label, kind=WHITE_BOX, attacks=(attack,)))
    return tuple(columns)


def _rows(columns, *rows):
    return tuple(
        Row(
            label=label,
            experiment=experiment,
            published=dict(zip((column.label for column in columns), figures, strict=True)),
        )
        for label, experiment, *figures in rows
    )


_ONE = (_TEST, *_attacks("20-xent", "50-xent", "200-xent", "20-CW", "50-CW", "200-CW"))
_TWO = _FOUR = _attacks("20-xent", "200-xent", "20-cw", "200-cw")
_THREE = (_TEST, *_attacks("20-xent", "20-cw"))
_ALL = (_TEST, *_TWO)
_RESTARTS = (
    Column(label="PGD-100 CW, 10 restarts", kind=WHITE_BOX, attacks=("PGD-100 CW, 10 restarts",)),
    Column(label="the same in L2", kind=WHITE_BOX, attacks=("PGD-100 CW, 10 restarts, L2",)),
)

TABLES = by_name(
    Exhibit(
        name="shafahi/1",
        kind="table",
        title="White-box PGD on CIFAR-10 models, batch-wise logit squeezing",
        dataset="cifar10",
        columns=_ONE,
        rows=_rows(
            _ONE,
            ("beta = 5", "cifar10_batch_lsq_beta5", "92.45", "43.26", "43.25", "38.86", "45.50", "37.82", "33.91"),
            ("beta = 10", "cifar10_batch_lsq_beta10", "92.68", "52.55", "45.18", "40.83", "47.48", "41.39", "37.87"),
            ("beta = 11", "cifar10_batch_lsq", "92.08", "58.51", "55.91", "53.87", "55.63", "53.56", "50.44"),
            ("7step-AdvT", "cifar10_at_7step", "87.25", "45.84", "45.39", "45.32", "46.90", "46.66", "46.48"),
        ),
    ),
    Exhibit(
        name="shafahi/1-length",
        kind="table",
        title="How far batch-wise logit squeezing gets on CIFAR-10, by length",
        dataset="cifar10",
        columns=_ALL,
        rows=tuple(
            Row(label=f"beta = {beta}, {length}", experiment=experiment, changes={"train.steps": Scaled(factor)})
            for beta, experiment in ((10, "cifar10_batch_lsq_beta10"), (11, "cifar10_batch_lsq"))
            for length, factor in (("once as long", 1), ("four times as long", 4))
        ),
        note="Not in the paper, whose models trained for 160,000 steps. Lengths are of the budget's own.",
    ),
    Exhibit(
        name="shafahi/2",
        kind="table",
        title="White-box PGD on CIFAR-10 models, logit similarity",
        dataset="cifar10",
        columns=_TWO,
        rows=_rows(
            _TWO,
            ("beta' = 5", "cifar10_similarity_beta5", "44.00", "30.59", "40.77", "28.65"),
            ("beta' = 10", "cifar10_similarity_beta10", "47.28", "35.67", "45.52", "34.56"),
            ("beta' = 11", "cifar10_similarity", "56.36", "49.79", "56.74", "50.33"),
            ("7step-AdvT", "cifar10_at_7step", "45.84", "45.32", "46.90", "46.48"),
        ),
    ),
    Exhibit(
        name="shafahi/3",
        kind="table",
        title="White-box PGD on CIFAR-10 models, aggressive label smoothing",
        dataset="cifar10",
        columns=_THREE,
        rows=_rows(
            _THREE,
            ("lambda = 0.9", "cifar10_label_smoothing_90", "92.60", "43.30", "39.76"),
            ("lambda = 0.95", "cifar10_label_smoothing", "92.88", "43.00", "41.29"),
            ("7step-AdvT", "cifar10_at_7step", "87.25", "45.84", "46.90"),
        ),
    ),
    Exhibit(
        name="shafahi/4",
        kind="table",
        title="White-box PGD on CIFAR-100 models",
        dataset="cifar100",
        columns=_FOUR,
        rows=_rows(
            _FOUR,
            ("beta = 1", "cifar100_batch_lsq_beta1", "23.89", "18.99", "11.91", "9.00"),
            ("beta = 5", "cifar100_batch_lsq_beta5", "30.91", "26.00", "19.80", "15.79"),
            ("beta = 7", "cifar100_batch_lsq", "31.99", "30.05", "25.92", "23.87"),
            ("2step-AdvT", "cifar100_at_2step", "17.08", "16.49", "17.80", "17.52"),
            ("7step-AdvT", "cifar100_at_7step", "22.76", "22.42", "23.12", "22.95"),
        ),
    ),
    Exhibit(
        name="shafahi/5.1.2",
        kind="table",
        title="Restarts and L2 on CIFAR-10",
        dataset="cifar10",
        columns=_RESTARTS,
        rows=(
            Row(
                label="beta' = 11",
                experiment="cifar10_similarity",
                published={"PGD-100 CW, 10 restarts": "45.27", "the same in L2": "54.99"},
            ),
            Row(label="7step-AdvT", experiment="cifar10_at_7step", published={"the same in L2": "15.36"}),
        ),
        note="Section 5.1.2 has these in its text. Its 88.13 % under SPSA, which took three days, is left out.",
    ),
    Exhibit(
        name="shafahi/defenses",
        kind="table",
        title="The defences side by side on CIFAR-10",
        dataset="cifar10",
        columns=_ALL,
        rows=(
            Row(label="undefended", experiment="cifar10_plain"),
            *_rows(
                _ALL,
                ("batch-wise squeezing, beta = 11", "cifar10_batch_lsq", "92.08", "58.51", "53.87", "55.63", "50.44"),
            ),
            Row(
                label="similarity, beta' = 11",
                experiment="cifar10_similarity",
                published={"20-xent": "56.36", "200-xent": "49.79", "20-cw": "56.74", "200-cw": "50.33"},
            ),
            Row(
                label="label smoothing, lambda = 0.95",
                experiment="cifar10_label_smoothing",
                published={"Test": "92.88", "20-xent": "43.00", "20-cw": "41.29"},
            ),
            *_rows(_ALL, ("7step-AdvT", "cifar10_at_7step", "87.25", "45.84", "45.32", "46.90", "46.48")),
            Row(label="ALP", experiment="cifar10_alp"),
        ),
        note="Rows of the paper's Tables 1 to 3, with two that it does not have: neither paper prints an undefended "
        "network or ALP on CIFAR-10.",
    ),
)

# Section 3.1: the lower of the accuracies under PGD-40 on the two losses.
_LOWEST = Column(label="Accuracy", kind=WHITE_BOX, attacks=("PGD-40", "PGD-40 CW"))
_NO_POINTS = "The paper prints no points of its curve."
_PER_EXAMPLE, _BATCH_WISE = "per example", "batch-wise"


def _sweep(series, experiment, field, symbol, values, scaled=False):
    return tuple(
        Row(
            label=f"{series}, {symbol} {value:g}",
            experiment=experiment,
            changes={field: Scaled(value) if scaled else value},
            series=series,
            x=float(value),
        )
        for value in values
    )


_BY_BETA = _sweep(_BATCH_WISE, "mnist_batch_lsq", "defense.weight", "beta", (1.0, 2.0, 5.0, 10.0, 20.0, 50.0))


def _mnist(name, title, rows, x_label, note=_NO_POINTS):
    return Exhibit(
        name=name,
        kind="figure",
        title=title,
        dataset="mnist",
        columns=(_LOWEST, _TEST),
        rows=rows,
        note=note,
        drawing="sweep",
        x_label=x_label,
    )


def _by_steps(name, dataset, row, note):
    return Exhibit(
        name=name,
        kind="figure",
        title="Accuracy by steps of the attack",
        dataset=dataset,
        rows=(row,),
        note=note,
        drawing="steps",
        x_label="attack steps",
        strong=False,
    )


_STEPS_NOTE = "PGD on the CW loss. Steps are of epsilon / 8 here, of epsilon / 4 in the paper."

FIGURES = by_name(
    _mnist(
        "shafahi/1",
        "Per-example against batch-wise logit squeezing on MNIST",
        (
            *_sweep(_PER_EXAMPLE, "mnist_lsq", "defense.weight", "beta", (0.1, 0.2, 0.5, 0.8, 1.0)),
            *_BY_BETA,
        ),
        "beta",
        f"{_NO_POINTS} Per example, beta is times the mean norm of an image's logits; batch-wise, times the Frobenius "
        "norm of the batch's over its size.",
    ),
    _mnist("shafahi/2", "Batch-wise logit squeezing on MNIST, by coefficient", _BY_BETA, "beta"),
    _mnist(
        "shafahi/3",
        "Batch-wise logit squeezing on MNIST, by noise in training",
        _sweep(_BATCH_WISE, "mnist_batch_lsq", "defense.noise", "sigma", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)),
        "sigma",
        f"{_NO_POINTS} Epsilon is 0.3.",
    ),
    _mnist(
        "shafahi/4",
        "Batch-wise logit squeezing on MNIST, by training iterations",
        _sweep(_BATCH_WISE, "mnist_batch_lsq", "train.steps", "length", (0.25, 0.5, 1.0, 2.0, 4.0), scaled=True),
        "training iterations, as a multiple of the budget's",
    ),
    _by_steps(
        "shafahi/5",
        "cifar10",
        Row(label="beta = 11", experiment="cifar10_batch_lsq"),
        f"{_NO_POINTS} {_STEPS_NOTE}",
    ),
    _by_steps(
        "shafahi/5-mnist",
        "mnist",
        Row(label="batch-wise, beta = 10", experiment="mnist_batch_lsq"),
        f"Figure 5 on MNIST, which the paper has on CIFAR-10 alone. {_STEPS_NOTE}",
    ),
    Exhibit(
        name="shafahi/surface",
        kind="figure",
        title="The loss around images (section 4)",
        dataset="mnist",
        rows=(
            Row(label="undefended", experiment="mnist_plain"),
            Row(label="noise alone", experiment="mnist_noise"),
            Row(label="logit squeezing", experiment="mnist_lsq"),
            Row(label="batch-wise logit squeezing", experiment="mnist_batch_lsq"),
            Row(label="ALP", experiment="mnist_alp"),
        ),
        note="The paper describes such plots and shows none. The plane is spanned by the sign of the gradient and a "
        "random direction; Engstrom et al. (2018) drew the same.",
        drawing="surface",
        strong=False,
    ),
)
