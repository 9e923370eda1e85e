"""Training in half precision: what is kept is a float32 model, near to the one that float32 trains."""

import keras
import numpy as np
import pytest

from alp_tf import configs, datasets, experiment, machine


def configured(precision, steps=10):
    config = configs.default()
    config.deterministic = True
    config.defense.update(name="adversarial_logit_pairing", weight=0.5)
    config.defense.attack.steps = 2
    config.optimizer.learning_rate = 1e-3
    config.train.update(steps=steps, checkpoint_every=5, batch_size=32, precision=precision)
    return config


def trained(path, precision):
    experiment.train(configured(precision), path, name="run")
    return keras.models.load_model(path / "model.keras", compile=False)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("single"), "float32")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_the_kept_model_is_of_float32_and_near_the_one_trained_in_it(tmp_path, single, precision):
    half = trained(tmp_path / "whole", precision)
    assert {layer.dtype_policy.name for layer in half.layers} == {"float32"}
    assert {weight.dtype for weight in half.weights} == {"float32"}
    images = datasets.load("digits").test_images[:100]
    logits, expected = half(images), single(images)
    assert logits.dtype == "float32"
    # Of half precision's size: neither none nor more.
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    assert 1e-5 < difference < 0.2
    assert keras.config.dtype_policy().name == "float32"


def test_interrupted_it_ends_with_the_same_weights(tmp_path, interrupted):
    whole = trained(tmp_path / "whole", "mixed_bfloat16")
    with interrupted():
        trained(tmp_path / "resumed", "mixed_bfloat16")
    resumed = trained(tmp_path / "resumed", "mixed_bfloat16")
    for value, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_an_unknown_precision_is_told_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'mixed_bfloat16'"):
        configs.check(configured("bfloat16"))


@pytest.mark.parametrize(
    ("flags", "slow"),
    [
        ("fpu avx avx2 fma", {"mixed_bfloat16", "mixed_float16"}),
        ("fpu avx2 avx512f avx512_bf16", {"mixed_float16"}),
        ("fpu avx2 amx_bf16 avx512_bf16 avx512_fp16", set()),
        # Another processor, or another system.
        ("", set()),
    ],
)
def test_a_precision_that_the_processor_would_emulate_is_doubted(flags, slow, tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n" if flags else "Features\t: bf16\n")
    monkeypatch.setattr(machine, "_CPUINFO", cpuinfo)
    # Where there is a GPU, its own precision counts.
    monkeypatch.setattr(machine, "accelerated", lambda: False)
    machine.instructions.cache_clear()
    try:
        for precision in configs.PRECISIONS:
            doubts = configs.doubts(configured(precision))
            assert bool(doubts) == (precision in slow)
            assert all("Write --config.train.precision=float32" in doubt for doubt in doubts)
    finally:
        machine.instructions.cache_clear()
