"""AutoAttack (Croce & Hein 2020, arXiv:2003.01690): a fixed sequence of attacks, each on what still stands."""

import dataclasses
import functools

import keras
import tensorflow as tf

from alp_tf import names
from alp_tf.attacks import apgd, base, classifier, fab, losses, square, wrappers

# Targeted parts aim at the nine likeliest other classes, or as many as there are.
_TARGETS = 9
VERSIONS = ("standard", "plus", "rand")
# Draws for each gradient and prediction of the version for randomised models.
EOT_SAMPLES = 20


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoAttack(base.Attack):
    """The worst case over the attacks of `parts`, which run in turn on the examples that still stand.

    An example that no part fools comes back as the attempt with the smallest margin.

    Attributes:
      version: `standard`: APGD-CE, APGD-T, FAB-T, Square; `plus`: APGD-CE, APGD-DLR and FAB with 5 restarts, Square,
        APGD-T, FAB-T; `rand`, for models whose logits differ from call to call: APGD-CE and APGD-DLR on the
        expectation over 20 draws (see wrappers.EOT).
      steps: gradient steps of each APGD and FAB; the paper takes 100.
      queries: of Square; the paper takes 5,000.
    """

    version: str = "standard"
    steps: int = 100
    queries: int = 5000

    def __post_init__(self):
        super().__post_init__()
        names.lookup("version of AutoAttack", self.version, VERSIONS)
        base.check_count("steps", self.steps, 1)
        base.check_count("queries", self.queries, 1)

    def parts(self, num_classes):
        """The attacks in the order in which they run.

        Args:
          num_classes: of the model.

        Returns:
          {name: attack}, such as `APGD-CE`, `APGD-T 2` (aimed at the second likeliest class) ... `Square`.

        Raises:
          ValueError: fewer than 4 classes, or 3 for `rand`: the DLR losses are not defined.
        """
        needed = 3 if self.version == "rand" else 4
        if num_classes < needed:
            raise ValueError(
                f"AutoAttack {self.version!r} uses the {'' if needed == 3 else 'targeted '}DLR loss, which needs at "
                f"least {needed} classes; the model has {num_classes}. For so few classes pass attacks={{...}}: "
                "APGD with loss='cross_entropy' and 'margin', FAB and Square take any number"
            )
        ball = {"epsilon": self.epsilon, "norm": self.norm, "bounds": self.bounds}
        climb = functools.partial(apgd.APGD, **ball, steps=self.steps)
        walk = functools.partial(fab.FAB, **ball, steps=self.steps)
        search = {"Square": square.Square(**ball, queries=self.queries)}
        ranks = range(2, min(_TARGETS, num_classes - 1) + 2)
        targeted = {
            **{f"APGD-T {rank}": climb(loss="dlr", target=rank) for rank in ranks},
            **{f"FAB-T {rank}": walk(target=rank) for rank in ranks},
        }
        if self.version == "standard":
            return {"APGD-CE": climb(), **targeted, **search}
        restarts = 5 if self.version == "plus" else 1
        untargeted = {"APGD-CE": climb(restarts=restarts), "APGD-DLR": climb(loss="dlr", restarts=restarts)}
        if self.version == "rand":
            return untargeted
        return {**untargeted, "FAB": walk(target=None, restarts=restarts), **search, **targeted}

    def perturb(self, model, images, labels, seed):
        """See Attack.perturb; eagerly, each part compiles and keeps its own graph."""
        if self.version == "rand" and not isinstance(model, wrappers.EOT):
            model = wrappers.EOT(model, samples=EOT_SAMPLES)
        logits_of = classifier.logits_function(model)

        def judged(points, logits, labels):
            chosen, best_other = losses.split_logits(logits, labels)
            return points, tf.argmax(logits, -1, tf.int32) != labels, best_other - chosen

        def run(part, part_seed, best):
            rows = tf.where(~best[1])[:, 0]
            standing = tuple(tf.gather(values, rows) for values in best)
            their_labels = tf.gather(labels, rows)
            found = part(model, tf.gather(images, rows), their_labels, seed=part_seed)
            stronger = base.stronger(judged(found, logits_of(found), their_labels), standing)
            return tuple(
                tf.tensor_scatter_nd_update(values, rows[:, None], update)
                for values, update in zip(best, stronger, strict=True)
            )

        logits = logits_of(images)
        best = judged(images, logits, labels)
        for index, part in enumerate(self.parts(logits.shape[-1]).values()):
            # Bound now: this loop moves on before the branches are traced.
            branch = functools.partial(run, part, tf.random.fold_in(seed, index), best)
            best = tf.cond(tf.reduce_all(best[1]), functools.partial(tuple, best), branch)
        return best[0]

    def _compiled(self, model, shape):
        if self.version == "rand":
            # In one graph: an EOT made for one call would take the graphs of its parts along when it goes.
            return super()._compiled(model, shape)
        return functools.partial(self.perturb, model), classifier.number_of_classes(model, (None, *shape[1:]))
