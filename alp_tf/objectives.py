"""The objectives of both papers as pure functions of logits: no model, no state, no weight.

Logits are float tensors of shape [batch, classes]; every function returns a float32 scalar unless it says otherwise.
Multiply by the paper's coefficient yourself, or let a defence do it. Papers and public code differ in what they sum
and what they average, so each objective names its forms; the default is the convention under which published
coefficients are meant. Every gradient is finite, also at all-zero logits.
"""

import tensorflow as tf

from alp_tf import replicas

DISTANCES = ("l2", "l1", "huber")


def cross_entropy(labels, logits, *, smoothing=0.0):
    """Cross-entropy of each example, optionally against smoothed labels (Shafahi equation 8).

    Args:
      labels: int, shape [batch], in [0, classes); or probabilities, float, shape [batch, classes].
      logits: shape [batch, classes].
      smoothing: lambda of equation 8; 0 leaves the labels hard.

    Returns:
      float32, shape [batch].
    """
    logits = tf.cast(logits, tf.float32)
    labels = tf.convert_to_tensor(labels)
    if labels.dtype.is_floating:
        targets = tf.cast(labels, tf.float32)
    elif not smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    else:
        targets = tf.one_hot(labels, tf.shape(logits)[-1])
    if smoothing:
        targets = smooth_labels(targets, smoothing)
    return tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def smooth_labels(one_hot, smoothing):
    """Warm labels, y_hot - lambda * (y_hot - 1 / N_c) (Shafahi equation 8).

    Args:
      one_hot: float, shape [batch, classes].
      smoothing: lambda in [0, 1]; with 10 classes 0.95 leaves the true class 0.145 and each other 0.095.

    Raises:
      ValueError: smoothing outside [0, 1].
    """
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing is {smoothing!r}; it must lie in [0, 1]")
    classes = tf.cast(tf.shape(one_hot)[-1], one_hot.dtype)
    return one_hot - smoothing * (one_hot - 1 / classes)


def clipped_cross_entropy(per_example, floor, *, form="example"):
    """Cross-entropy that cannot fall below a floor (Shafahi equation 6).

    Args:
      per_example: cross-entropy of each example, shape [batch].
      floor: omega, in nats.
      form: "example" averages max(l_i, omega) (equation 6); "batch" is max(mean l_i, omega) (the paragraph after it),
        under a `tf.distribute` strategy of the joined batch of all replicas.
    """
    _check("form", form, ("example", "batch"))
    if form == "example":
        return tf.reduce_mean(tf.maximum(per_example, floor))
    rows = tf.cast(tf.shape(per_example)[0], tf.float32)
    total, rows = replicas.joined(tf.reduce_sum(per_example), rows)
    return tf.maximum(total / rows, floor)


def kl_divergence(first, second):
    """KL(p(first) || p(second)) of each example, p being the softmax (Zhang 2019; Miyato 2017; Kannan section 6).

    Args:
      first, second: logits, shape [batch, classes]. Gradients flow into both.

    Returns:
      float32, shape [batch], in nats; not symmetric, and blind to a shift of all logits of an example.
    """
    first, second = (tf.nn.log_softmax(tf.cast(logits, tf.float32)) for logits in (first, second))
    return tf.reduce_sum(tf.exp(first) * (first - second), -1)


def logit_pairing(first, second, *, distance="l2", reduction="mean"):
    """Distance between the logits of paired examples (Kannan section 4.2).

    Args:
      first, second: logits, shape [batch, classes]; row i of one is paired with row i of the other. Gradients flow
        into both.
      distance: "l2" squares the differences, "l1" takes their absolute values, "huber" is half the square up to 1
        and linear beyond.
      reduction: "mean" over batch and logits, as every public code base does and as published weights assume; "sum"
        adds over the logits and averages over the batch, the literal reading of the paper's (1/m) sum_i L.

    Returns:
      Scalar; 0 for an empty batch.

    Example:
      >>> clean, adversarial = [[1.0, 2.0]], [[1.0, 4.0]]
      >>> float(logit_pairing(clean, adversarial))
      2.0
      >>> float(logit_pairing(clean, adversarial, reduction="sum"))
      4.0
    """
    _check("distance", distance, DISTANCES)
    _check("reduction", reduction, ("mean", "sum"))
    gap = tf.cast(first, tf.float32) - tf.cast(second, tf.float32)
    if distance == "l2":
        gap = tf.square(gap)
    elif distance == "l1":
        gap = tf.abs(gap)
    else:
        size = tf.abs(gap)
        gap = tf.where(size <= 1.0, 0.5 * tf.square(gap), size - 0.5)
    # divide_no_nan: one clean example makes no pair, and a mean over nothing would be NaN.
    rows = tf.shape(gap)[0] if reduction == "sum" else tf.size(gap)
    return tf.math.divide_no_nan(tf.reduce_sum(gap), tf.cast(rows, tf.float32))


def clean_pairs(logits):
    """Pairs example i with example i + m/2 (Kannan section 4.2.2); of an odd batch the last example has no partner.

    Args:
      logits: shape [batch, classes], of a shuffled batch.

    Returns:
      Two tensors of shape [batch // 2, classes].
    """
    half = tf.shape(logits)[0] // 2
    return logits[:half], logits[half : 2 * half]


def clean_logit_pairing(logits, *, distance="l2", reduction="mean"):
    """Logit pairing over the clean pairs of one batch (Kannan section 4.2.2)."""
    return logit_pairing(*clean_pairs(logits), distance=distance, reduction=reduction)


def logit_squeezing(logits, *, form="norm"):
    """Size of each example's logits, averaged over the batch (Kannan section 4.2.3; Shafahi equation 2).

    Args:
      logits: shape [batch, classes].
      form: "norm" is mean_b ||z_b||_2 (equation 2); "squared" is mean_b ||z_b||_2^2.
    """
    _check("form", form, ("norm", "squared"))
    squares = tf.reduce_sum(tf.square(tf.cast(logits, tf.float32)), -1)
    return tf.reduce_mean(squares if form == "squared" else _safe_sqrt(squares))


def batch_logit_squeezing(logits, *, form="norm"):
    """Frobenius norm of the batch's logit matrix over the batch size (Shafahi equation 5, without beta)."""
    return logit_similarity(logits, gamma=0.0, form=form)


def logit_similarity(logits, *, gamma=1.0, form="norm"):
    """Frobenius distance of the batch's logits from a common value, over the batch size (Shafahi equation 7).

    Under a `tf.distribute` strategy the norm is that of the joined batch of all replicas, so that the average of the
    replicas' gradients is the gradient of one replica that holds the whole batch.

    Args:
      logits: shape [batch, classes].
      gamma: the value that logits are drawn to; the paper uses 1, and 0 is batch-wise squeezing.
      form: "norm" is ||Z - gamma||_F / batch (equation 7, without beta'); "squared" is ||Z - gamma||_F^2 / batch.
    """
    _check("form", form, ("norm", "squared"))
    squares = tf.reduce_sum(tf.square(tf.cast(logits, tf.float32) - gamma))
    rows = tf.cast(tf.shape(logits)[0], tf.float32)
    squares, rows = replicas.joined(squares, rows)
    return (squares if form == "squared" else _safe_sqrt(squares)) / rows


def _safe_sqrt(squares):
    # The gradient of sqrt at 0 is infinite and would reach the weights as NaN; 0 is its subgradient of least norm.
    positive = squares > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, squares, 1.0)), 0.0)


def _check(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
