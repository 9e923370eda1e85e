"""A work directory belongs to one configuration."""

import json

import pytest

from alp_tf import configs
from alp_tf.workdir import WorkDir


def test_a_directory_older_than_a_field_was_run_with_its_default(tmp_path):
    config = configs.default()
    config.defense.update(name="logit_squeezing", weight=0.25)
    WorkDir(tmp_path).claim(config)
    kept = json.loads((tmp_path / "config.json").read_text())
    del kept["dataset"]["augmentation"], kept["optimizer"]["warmup_steps"], kept["distribution"]
    (tmp_path / "config.json").write_text(json.dumps(kept))

    workdir = WorkDir(tmp_path, default=configs.default())
    workdir.claim(config)
    config.dataset.data_dir = "elsewhere"
    config.distribution.update(resolver="slurm", workers=3, timeout_seconds=600)
    workdir.claim(config)
    config.optimizer.warmup_steps = 5
    with pytest.raises(ValueError, match=r"another configuration: optimizer.warmup_steps is 0 there, 5 here\. Give"):
        workdir.claim(config)
