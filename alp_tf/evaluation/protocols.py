"""Protocols: named lists of attacks, one after the other, each on the examples that still stand.

    protocol("autoattack", ThreatModel(epsilon=8/255), num_classes=10)

is a dictionary from names to attacks, in the order in which they run. An example counts as robust only if it stands
against all of them. `paper("mnist")` is what the papers reported instead, each attack measured by itself.
"""

import functools

from alp_tf import attacks, names
from alp_tf.attacks import autoattack
from alp_tf.threat_model import ThreatModel

# Protocols for randomised models, and over how many draws to average: evaluate EOT(model, samples=...) with them.
EOT_SAMPLES = {"autoattack_rand": autoattack.EOT_SAMPLES}


def protocol(name, threat_model, *, num_classes):
    """The attacks of a protocol.

    Args:
      name: one of `PROTOCOLS`.
      threat_model: what the attacks may do.
      num_classes: of the model; the DLR losses need 3, and 4 when targeted.

    Returns:
      {name: attack}.

    Raises:
      ValueError: unknown name, or too few classes.

    Example:
      >>> list(protocol("autoattack_rand", ThreatModel(epsilon=8 / 255), num_classes=10))
      ['APGD-CE', 'APGD-DLR']
    """
    return names.lookup("protocol", name, PROTOCOLS)(threat_model, num_classes)


def prepared(model, name):
    """The model as that protocol attacks it: the expectation of a randomised one, where the protocol is for those.

    Args:
      model: keras.Model or callable; an EOT stays what it is.
      name: of the protocol.
    """
    if name not in EOT_SAMPLES or isinstance(model, attacks.EOT):
        return model
    return attacks.EOT(model, samples=EOT_SAMPLES[name])


def paper(dataset):
    """What the papers evaluated with on a data set, in the threat model `THREAT_MODELS[dataset]` unless it says L2.

    Args:
      dataset: one of `PAPER`.

    Returns:
      {name: attack}, for `evaluate(..., attacks=...)`: each is a number of its own.

    Raises:
      ValueError: unknown data set.
    """
    return dict(names.lookup("data set of the papers", dataset, PAPER))


def _strong(threat_model, num_classes):
    """PGD with three losses and two kinds of target, 200 steps and 10 restarts; then APGD and Square."""
    if num_classes < 3:
        raise ValueError(
            f"protocol 'strong' uses the DLR loss, which needs at least 3 classes; the model has {num_classes}. "
            "Pass attacks={...} with loss='cross_entropy' or 'margin' instead"
        )
    ball = _ball(threat_model)
    long = {**ball, "step_size": threat_model.epsilon / 20, "steps": 200, "restarts": 10, "keep": "best"}
    return {
        "PGD cross-entropy": attacks.PGD(**long),
        "PGD margin": attacks.PGD(**long, loss="margin"),
        "PGD DLR": attacks.PGD(**long, loss="dlr"),
        "PGD least likely": attacks.PGD(**long, target="least_likely"),
        "PGD random target": attacks.PGD(**long, target="random"),
        "APGD cross-entropy": attacks.APGD(**ball),
        "APGD DLR": attacks.APGD(**ball, loss="dlr"),
        "Square": attacks.Square(**ball),
    }


def _autoattack(version, threat_model, num_classes):
    return attacks.AutoAttack(**_ball(threat_model), version=version).parts(num_classes)


def _ball(threat_model):
    return {"epsilon": threat_model.epsilon, "norm": threat_model.norm, "bounds": threat_model.bounds}


def _pgd(threat_model, **options):
    return attacks.PGD(**_ball(threat_model), **options)


# Name -> function of the threat model and the number of classes.
PROTOCOLS = {
    "strong": _strong,
    "autoattack": functools.partial(_autoattack, "standard"),
    "autoattack_plus": functools.partial(_autoattack, "plus"),
    "autoattack_rand": functools.partial(_autoattack, "rand"),
}

# L-inf throughout: Kannan 5.1, 5.2, 5.3.2; Shafahi 3.1, 3.2, 6; the digits are this package's own (see recipes).
THREAT_MODELS = {
    "digits": ThreatModel(epsilon=0.2),
    "mnist": ThreatModel(epsilon=0.3),
    "svhn_cropped": ThreatModel(epsilon=12 / 255),
    "cifar10": ThreatModel(epsilon=8 / 255),
    "cifar100": ThreatModel(epsilon=8 / 255),
    "imagenet2012": ThreatModel(epsilon=16 / 255),
}

_CIFAR = functools.partial(_pgd, THREAT_MODELS["cifar10"], step_size=2 / 255)
_IMAGENET = functools.partial(_pgd, THREAT_MODELS["imagenet2012"], step_size=2 / 255, steps=10)

PAPER = {
    "digits": {"PGD-100": _pgd(THREAT_MODELS["digits"], step_size=0.01, steps=100, restarts=5)},
    # Kannan 5.1; Shafahi 3.1 adds the Carlini-Wagner loss and takes the lower of the two.
    "mnist": {
        "PGD-40": _pgd(THREAT_MODELS["mnist"], step_size=0.01, steps=40),
        "PGD-40 CW": _pgd(THREAT_MODELS["mnist"], step_size=0.01, steps=40, loss="margin"),
    },
    # Kannan 5.2.
    "svhn_cropped": {"PGD-10": _pgd(THREAT_MODELS["svhn_cropped"], step_size=3 / 255, steps=10)},
    # Shafahi's Tables 1 to 3, then section 5.1.2. Its L2 attack is given without a step: this is Madry's rule of thumb,
    # 2.5 epsilon / steps. Its SPSA is left out, for want of a number of samples and for the three days that it took.
    "cifar10": {
        **{f"PGD-{steps}": _CIFAR(steps=steps) for steps in (20, 50, 200)},
        **{f"PGD-{steps} CW": _CIFAR(steps=steps, loss="margin") for steps in (20, 50, 200)},
        "PGD-100 CW, 10 restarts": _CIFAR(steps=100, loss="margin", restarts=10),
        "PGD-100 CW, 10 restarts, L2": _pgd(
            ThreatModel(epsilon=1.5, norm="l2"), step_size=0.0375, steps=100, loss="margin", restarts=10
        ),
    },
    # Shafahi's Table 4.
    "cifar100": {
        **{f"PGD-{steps}": _CIFAR(steps=steps) for steps in (20, 200)},
        **{f"PGD-{steps} CW": _CIFAR(steps=steps, loss="margin") for steps in (20, 200)},
    },
    # Kannan 5.3.2 and 5.3.3: targeted, without saying at what; the authors' code (tensorflow/models) knows these two.
    "imagenet2012": {
        "PGD-10 random target": _IMAGENET(target="random"),
        "PGD-10 least likely": _IMAGENET(target="least_likely"),
    },
}
