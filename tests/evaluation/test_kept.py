"""What an evaluation keeps on disk."""

import numpy as np

from alp_tf.evaluation import kept


def test_names_longer_than_those_of_files_can_be_are_kept_apart(tmp_path):
    store = kept.Kept(tmp_path, {})
    names = [f"{letter * 300}, {count} images" for letter in ("x", "ε") for count in (1, 2)]
    for number, name in enumerate(names):
        store.save(name, {"number": np.array(number)})
    assert [int(kept.Kept(tmp_path, {}).load(name)["number"]) for name in names] == [0, 1, 2, 3]
