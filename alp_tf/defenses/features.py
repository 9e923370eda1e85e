"""Feature pairing: adversarial logit pairing on the output of a layer inside the classifier (Kannan section 7)."""

import contextlib
import threading

import keras
import tensorflow as tf

from alp_tf import names, objectives
from alp_tf.defenses import adversarial, checks


@keras.saving.register_keras_serializable("alp_tf")
class FeaturePairing(adversarial.MixedMinibatchPGD):
    """M-PGD, and a layer's outputs for an image and for its adversarial example drawn together (Kannan section 7).

    Kannan suggests it and gives no results. The layer may sit at any depth of a Sequential, functional or subclassed
    model; it must be called once in a forward pass, and not inside a loop or a `tf.function` of its own.

    Attributes:
      layer: name of the layer, as `classifier.summary()` shows it.
      weight: lambda. The default is that of adversarial logit pairing, for want of a published one.
      distance, reduction: see objectives.logit_pairing, with all numbers of the layer's output in place of the logits.

    Raises:
      ValueError: no such layer, or several; says the nearest name and lists all.
    """

    penalty_names = ("feature_pairing",)

    def __init__(self, classifier, *, attack, layer, weight=0.5, distance="l2", reduction="mean", **kwargs):
        super().__init__(classifier, attack=attack, **kwargs)
        self.layer = layer
        self.weight = checks.checked_weight(weight)
        self.distance = checks.checked_choice("distance", distance, objectives.DISTANCES)
        self.reduction = checks.checked_choice("reduction", reduction, ("mean", "sum"))
        # A model that makes its layers when it is first called has none to show yet.
        if classifier.built:
            _named(classifier, layer)

    def forward(self, images):
        """See Defense; the layer's outputs come after the logits."""
        with _recorded(_named(self.classifier, self.layer)) as outputs:
            logits = self.classifier(images, training=True)
        return logits, _one_tensor(outputs, self.layer)

    def penalties(self, logits, features):
        """See Defense."""
        pairing = objectives.logit_pairing(
            features["clean"], features["adversarial"], distance=self.distance, reduction=self.reduction
        )
        return {"feature_pairing": self.weight * pairing}


def _named(classifier, name):
    # Keras has no public way to the layers of layers.
    layers = list(classifier._flatten_layers(include_self=False))
    names.lookup(f"layer of {classifier.name!r}", name, sorted({layer.name for layer in layers}))
    found = [layer for layer in layers if layer.name == name]
    if len(found) > 1:
        raise ValueError(f"{len(found)} layers of {classifier.name!r} are called {name!r}; give each a name of its own")
    return found[0]


def _one_tensor(outputs, name):
    if len(outputs) != 1 or not tf.is_tensor(outputs[0]):
        seen = f"was called {len(outputs)} times" if len(outputs) != 1 else "returned no single tensor"
        raise ValueError(f"layer {name!r} {seen} in a forward pass; feature pairing needs one call and one tensor")
    if not tf.executing_eagerly() and outputs[0].graph is not tf.compat.v1.get_default_graph():
        raise ValueError(
            f"layer {name!r} is called inside a loop, a condition or a tf.function of the model, where its output "
            "cannot be had; name a layer outside of it"
        )
    return outputs[0]


class _Recording:
    """Stands in for a layer's `call`, and keeps what it returns for the thread that asked.

    Replicas trace in threads that share the layers, and may take turns in the middle of a forward pass.
    """

    lock = threading.Lock()

    def __init__(self, layer):
        self._call = layer.call
        self.replaced = vars(layer).get("call")
        self.outputs = {}

    def __call__(self, *args, **kwargs):
        returned = self._call(*args, **kwargs)
        if threading.get_ident() in self.outputs:
            self.outputs[threading.get_ident()].append(returned)
        return returned


@contextlib.contextmanager
def _recorded(layer):
    """A context that gives the list of what the layer returns while it lasts; then the layer is as it was."""
    # Past Keras' own attribute tracking, which would make the stand-in part of the model.
    own = vars(layer)
    with _Recording.lock:
        recording = own.get("call")
        if not isinstance(recording, _Recording):
            recording = own["call"] = _Recording(layer)
        outputs = recording.outputs[threading.get_ident()] = []
    try:
        yield outputs
    finally:
        with _Recording.lock:
            del recording.outputs[threading.get_ident()]
            if not recording.outputs and recording.replaced is None:
                del own["call"]
            elif not recording.outputs:
                own["call"] = recording.replaced
