"""What every field of a configuration means, and in which unit: docs/configuration.md is made of it.

Fields and their defaults are those of configs.default(), which this table must match field by field. Fields of attacks
stand here once, as `attack`, though a configuration has several attacks. Models, defences and attacks say more about
their options in their docstrings.
"""

from typing import NamedTuple


class Meaning(NamedTuple):
    """What a field means.

    Attributes:
      unit: of its number; "" where there is none.
      text: one or two sentences of Markdown, links as seen from docs/.
    """

    unit: str
    text: str


_PIXELS = "pixels, [0, 1]"
_STEPS = "optimizer steps"
_LOSS = "factor in the loss"

MEANINGS = {
    "seed": Meaning("", "Fixes initial weights, the order of the data, noise and every random start."),
    "deterministic": Meaning(
        "", "The same weights bit for bit in every run on the same machine, for slower kernels on GPUs."
    ),
    "dataset.name": Meaning("", "See [data.md](data.md); or `module:function`, a data set of your own."),
    "dataset.augmentation": Meaning("", "Random changes of the training images."),
    "dataset.data_dir": Meaning(
        "path",
        "Directory of prepared TFDS data sets; of `tiny_imagenet` and `folder`, the folder itself. Unset: TFDS' own.",
    ),
    "dataset.archives": Meaning("path", "Prepare the data set from its original archives in there, without a network."),
    "dataset.image_size": Meaning("pixels a side", "Resize to squares of that side. Unset: images keep their size."),
    "model.name": Meaning("", "See [models.md](models.md)."),
    "model.initializer": Meaning("", "`madry`: as Madry's code; `glorot`: Keras' own, which trains sooner."),
    "model.depth": Meaning("layers", "6 n + 4: 10, 16, 22, 28 ..."),
    "model.width": Meaning("times 16 filters", "Factor of the filters of every group."),
    "model.dropout": Meaning(
        "share", "Dropped while training: between a unit's convolutions, or by `lenet` of its hidden units."
    ),
    "model.weight_decay": Meaning(_LOSS, "Of half the sum of squares of the kernels."),
    "model.units": Meaning("units", "Of each stage; of `madry_wide_resnet`, one number for all: `(5,)`."),
    "model.filters": Meaning("filters", "Of the stem and of each stage."),
    "model.reversible": Meaning("", "`False` keeps activations for the backward pass: faster, with more memory."),
    "model.stem_pooling": Meaning("", "A stem of stride 4, for large images."),
    "defense.name": Meaning("", "See [defenses.md](defenses.md)."),
    "defense.weight": Meaning(_LOSS, "Of the penalty: lambda of the logit pairings, beta of squeezing and similarity."),
    "defense.noise": Meaning(
        _PIXELS, "Standard deviation of Gaussian noise on every training image, before the attack: `20/255`."
    ),
    "defense.label_smoothing": Meaning("share", "Lambda of Shafahi's equation 8."),
    "defense.gamma": Meaning("logits", "The common value to which logits are drawn."),
    "defense.alpha": Meaning("", "Of the Beta distribution that mixes two images; 1 mixes evenly, towards 0 hardly."),
    "defense.floor": Meaning("nats", "The cross-entropy does not fall below it (omega)."),
    "defense.epsilon": Meaning(_PIXELS, "Radius, of the defences that make their adversarial examples themselves."),
    "defense.step_size": Meaning(_PIXELS, "Of their steps. Unset: epsilon for free training, 1.25 epsilon for fast."),
    "defense.xi": Meaning(_PIXELS, "Length at which the power method probes the gradient."),
    "defense.adversarial_share": Meaning("share of the batch", "How many images are replaced by adversarial ones."),
    "defense.adversarial_weight": Meaning(_LOSS, "Of an adversarial image; a clean one has 1."),
    "defense.penalty_delay": Meaning(_STEPS, "Before the penalty begins."),
    "defense.penalty_ramp": Meaning(_STEPS, "In which it grows from nothing to its weight."),
    "defense.replays": Meaning(_STEPS, "On each minibatch."),
    "defense.iterations": Meaning("gradients", "Of the power method."),
    "defense.form": Meaning(
        "",
        "The papers' two readings of a term: `mean` or `sum` of the clean and the adversarial cross-entropy; `norm` or "
        "`squared` of logits; floor for each `example` or for the `batch`.",
    ),
    "defense.distance": Meaning("", "Of paired logits: `l2` (squared differences), `l1` or `huber`."),
    "defense.reduction": Meaning("", "Of paired logits: `mean` over batch and logits, or `sum` over the logits."),
    "defense.layer": Meaning("", "Whose outputs are paired, by its Keras name."),
    "defense.direction": Meaning("", "Of the KL divergence: `clean_to_adversarial` or `adversarial_to_clean`."),
    "defense.norm": Meaning("", "Of the perturbation: `l2` or `linf`."),
    "defense.clip_noise": Meaning("", "Clip noisy images back to [0, 1]."),
    "defense.per_example": Meaning("", "Draw the mixture for each image, and not once a batch."),
    "defense.random_epsilon": Meaning("", "Draw each image's radius; `False` takes epsilon itself."),
    "defense.stop_gradient": Meaning("", "The clean prediction is a fixed goal."),
    "defense.include_self": Meaning("", "The model in training is one of those that adversarial examples come from."),
    "defense.carry": Meaning("", "Hand the perturbation on from minibatch to minibatch."),
    "defense.sources": Meaning("paths", "`.keras` files of the models that adversarial examples come from."),
    "attack.name": Meaning("", "See [attacks.md](attacks.md)."),
    "attack.epsilon": Meaning(_PIXELS, "Radius of the ball: `8/255`, not 8. In `l2`, the length over the whole image."),
    "attack.norm": Meaning("", "`linf` or `l2`."),
    "attack.loss": Meaning("", "What gradients climb: see [attacks.md](attacks.md)."),
    "attack.target": Meaning(
        "", "`least_likely`, `random` or `runner_up`. Unset: away from the true class, or the attack's own."
    ),
    "attack.batch_norm": Meaning("", "`inference`: the model as it is used; `train`: with the batch's statistics."),
    "attack.step_size": Meaning(_PIXELS, "Length of a step; of `spsa`, Adam's learning rate."),
    "attack.steps": Meaning("gradient steps", "Of each restart."),
    "attack.restarts": Meaning("runs", "Each image keeps the strongest."),
    "attack.random_start": Meaning("", "Start at a random point of the ball and not at the image."),
    "attack.keep": Meaning("", "`last` iterate, or the `best` of each image for one more forward pass."),
    "attack.decay": Meaning("share", "What is left of the momentum after a step."),
    "attack.momentum": Meaning("share", "Of the new step (alpha of Auto-PGD)."),
    "attack.rho": Meaning("share", "Of the steps that must raise the loss, or the step size is halved."),
    "attack.overshoot": Meaning("factor", "How far steps go beyond the boundary (eta of FAB)."),
    "attack.pull": Meaning("share", "Largest share of the image's own projection in a step (alpha_max of FAB)."),
    "attack.backward": Meaning("share", "How far an adversarial iterate stays on its way back (beta of FAB)."),
    "attack.queries": Meaning("forward passes", "Squares tried on an image, at most."),
    "attack.p_init": Meaning("share of the pixels", "That the first squares change."),
    "attack.samples": Meaning("points, or pairs", "Random points; of `spsa`, pairs of passes for one gradient."),
    "attack.delta": Meaning(_PIXELS, "Half the length of the difference that estimates a gradient."),
    "attack.version": Meaning("", "`standard`, `plus`, or `rand` for randomised models."),
    "optimizer.name": Meaning("", "Keras' own."),
    "optimizer.learning_rate": Meaning("", "At the start of the schedule."),
    "optimizer.scale_with_batch": Meaning("", "Multiply `learning_rate` by `train.batch_size / base_batch`."),
    "optimizer.base_batch": Meaning("images", "The batch that `learning_rate` is for; with `scale_with_batch`."),
    "optimizer.schedule": Meaning(
        "",
        "`cosine` falls to 0 over the run, `piecewise` at `boundaries`, `exponential` by `decay_rate` every "
        "`decay_epochs`.",
    ),
    "optimizer.warmup_steps": Meaning(_STEPS, "In which the learning rate first rises from 0, under any schedule."),
    "optimizer.boundaries": Meaning(_STEPS, "After which the learning rate changes."),
    "optimizer.factors": Meaning("times learning_rate", "The learning rate after each boundary."),
    "optimizer.decay_rate": Meaning("factor", "Of the learning rate."),
    "optimizer.decay_epochs": Meaning("epochs", "After which it is applied again."),
    "optimizer.momentum": Meaning("share", "Of the last step that is taken again."),
    "optimizer.rho": Meaning("share", "Of the old mean square in the new one."),
    "optimizer.epsilon": Meaning("", "Added to the mean square, or to its root, against division by zero."),
    "optimizer.nesterov": Meaning("", "Nesterov's momentum."),
    "optimizer.clip_norm": Meaning("L2 length", "Longest gradient of all weights together. Unset: not clipped."),
    "optimizer.ema": Meaning(
        "share", "Of the old average in the new one; averaged weights are evaluated and saved. Unset: no averages."
    ),
    "train.steps": Meaning(_STEPS, "Of the run; of free training, minibatches. 0 evaluates the initial weights."),
    "train.batch_size": Meaning("images", "In a step, over all replicas that count."),
    "train.checkpoint_every": Meaning(_STEPS, "Between checkpoints, rows of history.jsonl and points in TensorBoard."),
    "train.keep_checkpoints": Meaning("checkpoints", "Older ones are deleted."),
    "train.start_from": Meaning(
        "path",
        "Work directory, `.keras` file or `module:function` of a model of the same architecture, whose weights the run "
        "starts from; for another number of classes, all but the last layer's. Unset: random weights.",
    ),
    "train.precision": Meaning(
        "",
        "`float32`, `mixed_bfloat16` or `mixed_float16`: in what layers compute while training. The trained model is "
        "kept, and evaluated, in float32. A CPU is sure to be faster with matrix units (AMX) only; one without any "
        "instructions for it takes about ten times as long.",
    ),
    "distribution.strategy": Meaning(
        "", "`none`: one device; `mirrored`: all GPUs of this machine; `multi_worker`: several processes or machines."
    ),
    "distribution.resolver": Meaning(
        "", "Where a worker learns who the others are: `tf_config`, `slurm`, `kubernetes`."
    ),
    "distribution.workers": Meaning("processes", "How many there must be; 0 for as many as the resolver knows."),
    "distribution.devices": Meaning("replicas", "Of `mirrored`; 0 for one on each GPU, or a single one."),
    "distribution.backup_replicas": Meaning(
        "replicas", "That may be late in each step, see [distributed.md](distributed.md)."
    ),
    "distribution.timeout_seconds": Meaning("seconds", "After which a worker that does not answer is taken for lost."),
    "evaluation.examples": Meaning("images", "Test images, from the first; 0 means all."),
    "evaluation.batch_size": Meaning("images", "Attacked at a time."),
    "evaluation.masking_examples": Meaning(
        "images", "For the tests for masked gradients ([evaluation.md](evaluation.md)); 0 leaves them out."
    ),
}
