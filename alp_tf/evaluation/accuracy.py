"""Clean and robust accuracy of a classifier, with the confidence interval that the number of examples allows."""

import dataclasses
import warnings

import numpy as np

from alp_tf.attacks import classifier
from alp_tf.evaluation import inputs, kept, masking, protocols
from alp_tf.evaluation.report import Evaluation, Report, wilson_interval
from alp_tf.evaluation.run import Run
from alp_tf.threat_model import ThreatModel


def evaluate(
    model,
    data,
    *,
    attacks=None,
    protocol=None,
    threat_model=None,
    examples=None,
    batch_size=200,
    seed=0,
    masking_examples=100,
    keep=None,
    show_progress=True,
    team=None,
):
    """Measures the accuracy of a model on images as they are and under attack, and whether it masks its gradients.

    Args:
      model: keras.Model that returns logits, or a callable; a defence or the classifier it wraps. A randomised model
        comes as `alp_tf.attacks.EOT(model, samples=20)`.
      data: tf.data.Dataset of batches (float32 images in [0, 1], integer labels), or a pair of arrays.
      attacks: {name: attack}; each is measured by itself, on all images.
      protocol: instead of attacks, `strong`, `autoattack`, `autoattack_plus` or `autoattack_rand`: its attacks run in
        turn, each restart on the images that still stand, and the last row of the report is the share that stands
        against all of them.
      threat_model: of the protocol, such as `ThreatModel(epsilon=8/255)`.
      examples: stop after so many; None or 0 for all.
      batch_size: images attacked at a time.
      seed: fixes the random starts.
      masking_examples: images for the tests for masked gradients (see evaluation.masking); 0 leaves them out.
      keep: directory in which every finished batch is kept; the same call, interrupted at any moment, goes on there.
      show_progress: show bars with the time left.
      team: workers of a cluster, all of whom make this call and share its batches, as distribution.Cluster.team; only
        the first then needs `keep`. None for this process alone.

    Example:
      >>> import keras
      >>> from alp_tf import attacks
      >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
      >>> images = np.random.default_rng(0).uniform(size=(20, 8, 8, 1)).astype("float32")
      >>> labels = np.argmax(model(images), -1)
      >>> fgsm = attacks.FGSM(epsilon=1.0)
      >>> report = evaluate(model, (images, labels), attacks={"FGSM": fgsm}, masking_examples=0, show_progress=False)
      >>> report["FGSM"].clean_accuracy, report["FGSM"].robust_accuracy, report["FGSM"].examples
      (1.0, 0.0, 20)
      >>> report["FGSM"].ci95
      (0.0, 0.161125)

    Returns:
      Report with one Evaluation for each attack, and one more for a protocol as a whole.

    Raises:
      ValueError: no data, images or labels outside their range, or something that is no attack; both or neither of
        attacks and protocol; a protocol without its threat model; a model that returns probabilities, NaN, or other
        logits at every call; a `keep` of another evaluation.
    """
    _check_choice(attacks, protocol, threat_model)
    images, labels = inputs.arrays(data, examples=examples, batch_size=batch_size)
    classes = inputs.classes(model, images.shape[1:])
    classifier.check_label_range(labels, classes)
    if attacks is None:
        attacks = protocols.protocol(protocol, threat_model, num_classes=classes)
        model = protocols.prepared(model, protocol)
    inputs.check_attacks(attacks, images)
    settings = {"attacks": attacks, "protocol": protocol, "seed": seed, "batch size": batch_size}
    settings["draws"] = getattr(model, "samples", None)
    store = kept.Kept(keep, kept.identity(model, images, labels, **settings)) if keep else None
    shown = {"show_progress": show_progress, "keep": store}
    run = Run(model, images, labels, batch_size=batch_size, seed=seed, team=team, **shown)
    if not run.clean.any():
        warnings.warn(
            f"none of the {len(labels)} images is classified correctly as it is, so none was attacked: are the labels "
            "those of the model's classes, and the pixels what it was trained on?",
            stacklevel=2,
        )
    rows = _separately(run, attacks) if protocol is None else _in_turn(run, attacks, protocol)
    evaluations, stands = zip(*rows, strict=True)
    verdicts = {item.name: verdict for item, verdict in zip(evaluations, stands, strict=True)}
    findings = ()
    if masking_examples and run.clean.any():
        ball = threat_model or widest(attacks)
        findings = masking.diagnose(run, ball, examples=masking_examples)
        findings += masking.compare_with_square(evaluations, ball) if protocol else ()
    return Report(evaluations, findings, {"clean": run.clean, **verdicts})


def widest(attacks):
    """The threat model of largest epsilon among {name: attack}; that of the first attack's norm, if there are several.

    Radii of different norms cannot be compared.
    """
    balls = [attack.threat_model for attack in attacks.values()]
    return max((ball for ball in balls if ball.norm == balls[0].norm), key=lambda ball: ball.epsilon)


def _check_choice(attacks, protocol, threat_model):
    if (not attacks) == (protocol is None):
        raise ValueError("give either attacks={name: attack} or protocol='strong' (or 'autoattack')")
    if protocol is not None and not isinstance(threat_model, ThreatModel):
        raise ValueError(
            f"protocol={protocol!r} needs a threat model: write threat_model=alp_tf.ThreatModel(epsilon=8/255)"
        )


def _separately(run, attacks):
    for name, attack in attacks.items():
        outcome = run.attack(name, attack, run.clean)
        # Later restarts leave alone what has fallen: they say too little of its five classes, or of its target.
        once = len(attack.runs()) == 1
        counted = {
            "top5": once and run.logits.shape[-1] > 5,
            "targeted": once and getattr(attack, "target", None) is not None,
        }
        _attack_the_wrong_ones(run, name, attack, outcome, **counted)
        yield _row(run, name, attack, outcome, **counted), outcome.stands


def _attack_the_wrong_ones(run, name, attack, outcome, *, top5, targeted):
    """Attacks what is wrong as it is, where that still counts: for the five classes, or as a target."""
    others = ~run.clean & (run.clean_top5 & top5 | targeted)
    if not others.any():
        return
    rest = run.attack(f"{name}, of those wrong as they are", attack, others)
    outcome.top5 = np.where(others, rest.top5, outcome.top5)
    outcome.hit |= rest.hit
    for cost in ("seconds", "forward", "backward"):
        setattr(outcome, cost, getattr(outcome, cost) + getattr(rest, cost))


def _in_turn(run, attacks, protocol):
    standing, costs, last = run.clean, {"seconds": 0.0, "forward": 0, "backward": 0}, None
    for name, attack in attacks.items():
        outcome = run.attack(f"{protocol}, {name}", attack, standing, label=name)
        standing = outcome.stands
        costs = {key: value + getattr(outcome, key) for key, value in costs.items()}
        # Shares of all images would mislead: only those met the attack that stood before.
        last = _row(run, f"{protocol}, after {name}", attack, outcome, top5=False, targeted=False)
        yield last, standing
    spent = {f"{key}_passes": costs[key] / len(run.labels) for key in ("forward", "backward")}
    seconds = round(costs["seconds"], 3)
    whole = {"name": protocol, "attack": f"protocol {protocol}", "seconds": seconds}
    yield dataclasses.replace(last, **whole, **spent), standing


def _row(run, name, attack, outcome, *, top5, targeted):
    count = len(run.labels)
    return Evaluation(
        name=name,
        threat_model=str(attack.threat_model),
        attack=repr(attack),
        examples=count,
        clean_accuracy=float(run.clean.mean()),
        robust_accuracy=float(outcome.stands.mean()),
        ci95=tuple(round(bound, 6) for bound in wilson_interval(int(outcome.stands.sum()), count)),
        seconds=round(outcome.seconds, 3),
        seed=run.seed,
        top5_accuracy=float(outcome.top5.mean()) if top5 else None,
        targeted_success=float(outcome.hit.mean()) if targeted else None,
        forward_passes=outcome.forward / count,
        backward_passes=outcome.backward / count,
    )
