"""What an evaluation keeps on disk."""

import numpy as np
import pytest

from alp_tf import attacks
from alp_tf.evaluation import kept


def test_names_longer_than_those_of_files_can_be_are_kept_apart(tmp_path):
    store = kept.Kept(tmp_path, {})
    names = [f"{letter * 300}, {count} images" for letter in ("x", "ε") for count in (1, 2)]
    for number, name in enumerate(names):
        store.save(name, {"number": np.array(number)})
    assert [int(kept.Kept(tmp_path, {}).load(name)["number"]) for name in names] == [0, 1, 2, 3]


def weighted(factor, power=1):
    def loss(logits, labels):
        return [factor * sum(each) ** power for each in zip(logits, labels, strict=True)]

    return loss


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (weighted(1), True),
        (weighted(2), False),
        (weighted(1, power=2), False),
        (lambda logits, labels: logits, False),
    ],
)
def test_an_attack_is_known_by_what_its_own_loss_does(other, same):
    made = [
        kept.identity(None, np.zeros(1), np.zeros(1), attacks={"own": attacks.FGSM(epsilon=0.1, loss=loss)})
        for loss in (weighted(1), other)
    ]
    assert (made[0] == made[1]) == same


def test_a_loss_is_known_by_its_body_and_not_by_where_it_stands():
    texts = ["loss = lambda a, b: a + 1", "\n\nloss = lambda a, b: a + 1", "loss = lambda a, b: a - 1"]
    made = []
    for text in texts:
        names = {}
        exec(text, names)
        made.append(kept.identity(None, np.zeros(1), np.zeros(1), loss=names["loss"]))
    assert made[0] == made[1] != made[2]
