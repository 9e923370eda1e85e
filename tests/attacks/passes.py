"""How many passes an attack takes for one image that it does not fool; held against real counts in test_wrappers."""

from alp_tf import attacks


def most(attack, classes):
    """(images forward, images backward).

    Args:
      attack: of any kind but AutoAttack, whose parts are to be added up.
      classes: of the model.
    """
    # A target is chosen by the logits of the clean image.
    target = int(getattr(attack, "target", None) is not None)
    if isinstance(attack, attacks.FGSM):
        return 1 + target, 1
    if isinstance(attack, attacks.PGD | attacks.MIM):
        judged = attack.restarts > 1 or getattr(attack, "keep", "last") == "best"
        return attack.restarts * (attack.steps + judged) + target, attack.restarts * attack.steps
    if isinstance(attack, attacks.APGD):
        return attack.restarts * (attack.steps + 1) + target, attack.restarts * (attack.steps + 1)
    if isinstance(attack, attacks.FAB):
        gradients = attack.restarts * attack.steps * (1 if target else classes - 1)
        # A look after each step; at the beginning and the end of each run; and one for the classes.
        return gradients + attack.restarts * (attack.steps + 2) + 1, gradients
    if isinstance(attack, attacks.SPSA):
        return 1 + attack.steps * (2 * attack.samples + 1), 0
    return attack.queries * attack.restarts if isinstance(attack, attacks.Square) else attack.samples, 0
