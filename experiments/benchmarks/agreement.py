"""Our gradient attacks beside foolbox's, on the same TensorFlow model and MNIST images, with equal settings.

    pip install foolbox
    python experiments/benchmarks/agreement.py --model=runs/mnist_alp/model.keras --output=mnist_alp.json

Prints the robust accuracy of each attack on both sides and their difference in percentage points. FGSM and BIM do
not depend on chance; the PGD attacks start from random points of their own, and so differ by a few images.
"""

import sys

import numpy as np
from absl import app

from alp_tf import command_line

command_line.load_tensorflow()

import foolbox  # noqa: E402
import mnist  # noqa: E402
import record  # noqa: E402
import tensorflow as tf  # noqa: E402

from alp_tf import attacks, evaluation  # noqa: E402

# Kannan's MNIST ball and step; in L2, Madry's rule for the step, 2.5 epsilon / steps.
_LINF = {"epsilon": 0.3, "step_size": 0.01, "steps": 40}
_L2 = {"epsilon": 2.0, "step_size": 0.125, "steps": 40, "norm": "l2"}

# Name -> (our attack, theirs).
PAIRS = {
    "FGSM": (attacks.FGSM(epsilon=0.3), foolbox.attacks.LinfFastGradientAttack()),
    "BIM-40": (
        attacks.BIM(**_LINF),
        foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=0.01, steps=40, random_start=False),
    ),
    "PGD-40": (
        attacks.PGD(**_LINF),
        foolbox.attacks.LinfProjectedGradientDescentAttack(abs_stepsize=0.01, steps=40, random_start=True),
    ),
    "PGD-40 L2": (
        attacks.PGD(**_L2),
        foolbox.attacks.L2ProjectedGradientDescentAttack(abs_stepsize=0.125, steps=40, random_start=True),
    ),
}


def main(_):
    """Prints one Markdown table."""
    model, images, labels = mnist.load()
    print(f"{len(labels)} MNIST test images, seed {mnist.SEED.value}\n")
    print("| attack | threat model | alp_tf | foolbox | difference, points |\n|---|---|---:|---:|---:|")
    rows = []
    for name, (ours, theirs) in PAIRS.items():
        row = {
            "attack": name,
            "threat_model": str(ours.threat_model),
            "settings": repr(ours),
            "alp_tf": _ours(ours, model, images, labels),
            "foolbox": _theirs(theirs, ours.epsilon, model, images, labels),
        }
        row["difference_points"] = round(100 * (row["alp_tf"] - row["foolbox"]), 4)
        rows.append(row)
        shares = f"{100 * row['alp_tf']:.1f} % | {100 * row['foolbox']:.1f} %"
        print(f"| {name} | {row['threat_model']} | {shares} | {row['difference_points']:+.1f} |")
        sys.stdout.flush()
    record.write(
        mnist.OUTPUT.value,
        model=mnist.MODEL.value,
        data="mnist test",
        examples=len(labels),
        seed=mnist.SEED.value,
        rows=rows,
        packages=("tensorflow", "keras", "numpy", "foolbox"),
    )


def _ours(attack, model, images, labels):
    report = evaluation.evaluate(
        model,
        (images, labels),
        attacks={"attack": attack},
        batch_size=mnist.BATCH.value,
        seed=mnist.SEED.value,
        masking_examples=0,
        show_progress=False,
    )
    return report["attack"].robust_accuracy


def _theirs(attack, epsilon, model, images, labels):
    """Robust accuracy as `evaluate` counts it: an image that is wrong as it is is not attacked, and not robust."""
    tf.random.set_seed(mnist.SEED.value)
    np.random.seed(mnist.SEED.value)
    wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1))
    standing = 0
    for first in range(0, len(labels), mnist.BATCH.value):
        batch, wanted = images[first : first + mnist.BATCH.value], labels[first : first + mnist.BATCH.value]
        right = np.flatnonzero(_predicted(model, batch) == wanted)
        if len(right):
            targets = tf.constant(wanted[right], tf.int64)
            _, found, _ = attack(wrapped, tf.constant(batch[right]), targets, epsilons=epsilon)
            standing += int((_predicted(model, found) == wanted[right]).sum())
    return standing / len(labels)


def _predicted(model, images):
    return np.argmax(model(images, training=False), -1)


if __name__ == "__main__":
    app.run(main)
