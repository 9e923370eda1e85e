"""What the pages on distributed training say is there, and their code runs."""

import pathlib
import re
import shlex

import keras
import numpy as np
import pytest

from alp_tf import command_line, configs
from alp_tf.distribution import options
from launch.planning import measured

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "launch/README.md", ROOT / "launch/colab/README.md", ROOT / "docs/distributed.md")
}
COMMANDS = [
    line for page in PAGES.values() for line in page.splitlines() if re.search(r"--config=experiments/\w+\.py ", line)
]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for path in re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGES[page]):
        assert ((ROOT / page).parent / path).exists(), path


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_experiments_and_fields_that_there_are(command):
    words = [word for word in shlex.split(command) if word.startswith("--config")]
    config, name, overridden, _ = command_line.read_config(words)
    configs.check(config, overridden)
    assert config.train.batch_size == (1_600 if name == "imagenet_alp" else 64)


def test_the_page_has_every_field():
    table = PAGES["docs/distributed.md"].split("| field | meaning |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(options.DEFAULTS)


def test_the_callback_writes_a_trace(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGES["docs/distributed.md"], re.DOTALL)
    names = {}
    exec(compile(code, "distributed.md", "exec"), names)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = names["Trace"](tmp_path / "trace.jsonl", worker=3)
    model.fit(np.zeros((8, 2)), np.zeros((8, 1)), batch_size=2, epochs=2, verbose=0, callbacks=[callback])
    (seconds,), is_history = measured.read_trace(tmp_path / "trace.jsonl")
    assert len(seconds) == 7
    assert not is_history
