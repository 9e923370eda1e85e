"""Protocols: named lists of attacks, one after the other, each on the examples that still stand.

    protocol("autoattack", ThreatModel(epsilon=8/255), num_classes=10)

is a dictionary from names to attacks, in the order in which they run. An example counts as robust only if it stands
against all of them.
"""

from alp_tf import attacks, names

# AutoAttack aims at the nine likeliest other classes, or as many as there are.
_TARGETS = 9


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
    """
    attacks_of = names.lookup("protocol", name, PROTOCOLS)
    if num_classes < 4:
        raise ValueError(
            f"protocol {name!r} uses the targeted DLR loss, which needs at least 4 classes; the model has "
            f"{num_classes}. Pass attacks={{...}} with loss='cross_entropy' or 'margin' instead"
        )
    ball = {"epsilon": threat_model.epsilon, "norm": threat_model.norm, "bounds": threat_model.bounds}
    return attacks_of(ball, min(_TARGETS, num_classes - 1))


def _strong(ball, targets):
    """PGD with three losses and two kinds of target, 200 steps and 10 restarts; then APGD and Square."""
    long = {**ball, "step_size": ball["epsilon"] / 20, "steps": 200, "restarts": 10, "keep": "best"}
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


def _autoattack(ball, targets):
    """AutoAttack, version `standard` (Croce & Hein 2020)."""
    ranks = range(2, targets + 2)
    return {
        "APGD-CE": attacks.APGD(**ball),
        **{f"APGD-T {rank}": attacks.APGD(**ball, loss="dlr", target=rank) for rank in ranks},
        **{f"FAB-T {rank}": attacks.FAB(**ball, target=rank) for rank in ranks},
        "Square": attacks.Square(**ball),
    }


PROTOCOLS = {"strong": _strong, "autoattack": _autoattack}

# Protocols for randomised models, and the draws that stand for their expectation.
EOT_SAMPLES = {"autoattack_rand": 20}
