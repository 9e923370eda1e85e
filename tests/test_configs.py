"""A configuration is checked whole before any work, and becomes exactly the parts it names."""

import dataclasses
import inspect
import types

import keras
import pytest

from alp_tf import attacks, configs, datasets, defenses, models


def changed(**fields):
    config = configs.default()
    for dotted, value in fields.items():
        *groups, name = dotted.split("__")
        node = config
        for group in groups:
            node = node[group]
        node[name] = value
    return config


def test_the_default_is_valid_and_locked_against_new_fields():
    config = configs.default()
    configs.check(config)
    with pytest.raises(AttributeError):
        config.lock().train.stpes = 3


@pytest.mark.parametrize("name", defenses.NAMED)
def test_every_defence_is_built_with_its_own_fields(name, tmp_path):
    config = changed(defense__name=name, defense__noise=0.1, defense__label_smoothing=0.2, seed=5)
    options = defenses.NAMED[name].options()
    own = {"weight": 0.25, "epsilon": 0.1, "layer": "hidden", "sources": (str(tmp_path / "source.keras"),)}
    own = {field: value for field, value in own.items() if field in options}
    config.defense.update(own)
    configs.check(config)
    data = datasets.load("digits")
    if "sources" in own:
        configs.build_classifier(config, data).save(*own["sources"])
    defense = configs.build_defense(config, configs.build_classifier(config, data))
    assert type(defense) is defenses.NAMED[name]
    assert (defense.noise, defense.label_smoothing, defense.seed) == (0.1, 0.2, 5)
    assert {field: getattr(defense, field) for field in own} == own
    if "attack" in options:
        assert defense.attack == attacks.PGD(epsilon=0.2, step_size=0.05, steps=10)


def test_attacks_are_built_from_the_fields_that_are_set():
    built = configs.build_attack(configs.attack(name="bim", epsilon=0.1, step_size=0.02, steps=3, target="random"))
    assert built == attacks.BIM(epsilon=0.1, step_size=0.02, steps=3, target="random")
    square = configs.build_attack(configs.attack(name="square", epsilon=0.1, queries=70))
    assert square == attacks.Square(epsilon=0.1, queries=70)
    # FGSM has no steps; a file may leave them set.
    assert configs.build_attack(configs.attack(name="fgsm", epsilon=0.1, steps=3)) == attacks.FGSM(epsilon=0.1)


def optimizer_of(**fields):
    return configs.build_optimizer(changed(**fields), steps_per_epoch=50)


def test_schedules_span_the_run():
    cosine = optimizer_of(optimizer__schedule="cosine", train__steps=100).learning_rate
    assert isinstance(optimizer_of(optimizer__schedule="cosine"), keras.optimizers.Adam)
    assert float(cosine) == pytest.approx(1e-3)
    free = {"defense__name": "free_adversarial_training", "defense__epsilon": 0.2, "optimizer__schedule": "cosine"}
    for replays in ({}, {"defense__replays": 4}):
        # Free training takes 8 steps on each minibatch, unless told otherwise.
        schedule = optimizer_of(**free, **replays, train__steps=100)._learning_rate
        last = 100 * replays.get("defense__replays", 8)
        assert float(schedule(last // 2)) == pytest.approx(5e-4)
        assert float(schedule(last)) == pytest.approx(0, abs=1e-9)
    steps = optimizer_of(
        optimizer__name="sgd",
        optimizer__momentum=0.9,
        optimizer__schedule="piecewise",
        optimizer__boundaries=(10, 20),
        optimizer__factors=(0.1, 0.01),
    )
    assert steps.momentum == 0.9
    rates = [float(steps._learning_rate(step)) for step in (0, 11, 21)]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-5])
    scaled = optimizer_of(
        optimizer__schedule="exponential",
        optimizer__decay_rate=0.94,
        optimizer__decay_epochs=2.0,
        optimizer__scale_with_batch=True,
        optimizer__base_batch=32,
        train__batch_size=64,
    )
    rates = [float(scaled._learning_rate(step)) for step in (0, 99, 100)]
    assert rates == pytest.approx([2e-3, 2e-3, 2e-3 * 0.94])


@pytest.mark.parametrize("name", attacks.NAMED)
def test_every_option_of_an_attack_has_its_field(name):
    fields = {field.name for field in dataclasses.fields(attacks.NAMED[name])} - {"bounds"}
    assert fields <= set(configs.attack())


@pytest.mark.parametrize("name", defenses.NAMED)
def test_every_option_of_a_defence_has_its_field(name):
    # Those of no experiment: validation, pixel bounds, and the seed, which is the experiment's.
    assert set(defenses.NAMED[name].options()) - {"evaluation_attack", "bounds", "seed"} <= set(
        configs.default().defense
    )


@pytest.mark.parametrize("name", models.NAMED)
def test_every_option_of_a_network_has_its_field(name):
    options = set(inspect.signature(models.builder(name)).parameters) - {"input_shape", "num_classes"}
    assert options <= set(configs.default().model)


def test_units_are_a_number_for_one_network_and_a_tuple_for_another():
    data = types.SimpleNamespace(image_shape=(32, 32, 3), num_classes=10)
    one, three = (
        configs.build_classifier(changed(model__name="madry_wide_resnet", model__units=(units,), model__width=1), data)
        for units in (1, 2)
    )
    assert one.count_params() < three.count_params()
    small = {"model__name": "revnet", "model__filters": (4, 4, 8, 8)}
    one, three = (
        configs.build_classifier(changed(**small, model__units=units), data) for units in ((1, 1, 1), (1, 1, 2))
    )
    assert one.count_params() < three.count_params()
    with pytest.raises(ValueError, match=r"config.model.units is \(1, 1, 1\); this network has one number"):
        configs.build_classifier(changed(model__name="madry_wide_resnet", model__units=(1, 1, 1)), data)


def test_what_a_defence_needs_is_asked_for():
    with pytest.raises(ValueError, match="defense 'fast_adversarial_training' needs epsilon; see FastAdversarialTrain"):
        configs.check(changed(defense__name="fast_adversarial_training"))
    configs.check(changed(defense__name="fast_adversarial_training", defense__epsilon=0.1))


def test_another_optimizer_on_the_command_line_leaves_the_files_fields_unused():
    config = changed(optimizer__name="sgd", optimizer__momentum=0.9)
    config.optimizer.name = "adam"
    with pytest.raises(ValueError, match="has no momentum"):
        configs.check(config)
    configs.check(config, {"config.optimizer.name"})
    assert isinstance(configs.build_optimizer(config, steps_per_epoch=1), keras.optimizers.Adam)
    with pytest.raises(ValueError, match="'adam' with schedule 'constant' has no momentum"):
        configs.check(config, {"config.optimizer.name", "config.optimizer.momentum"})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"dataset__name": "digit"}, "did you mean 'digits'"),
        ({"model__name": "lenett"}, "did you mean 'lenet'"),
        ({"defense__name": "adversarial_logit_paring"}, "did you mean 'adversarial_logit_pairing'"),
        ({"optimizer__name": "adams"}, "did you mean 'adam'"),
        ({"optimizer__schedule": "cosin"}, "did you mean 'cosine'"),
        ({"optimizer__schedule": "piecewise"}, "boundaries"),
        ({"optimizer__learning_rate": 0.0}, "above 0"),
        ({"optimizer__momentum": 0.9}, "has no momentum"),
        ({"optimizer__decay_rate": 0.9}, "has no decay_rate"),
        ({"optimizer__schedule": "exponential"}, "needs config.optimizer.decay_rate"),
        ({"optimizer__ema": 1.5}, "between 0 and 1"),
        ({"dataset__augmentation": "pad_crop"}, "did you mean 'pad_crop_flip'"),
        ({"dataset__image_size": 64}, "'digits' has no image_size"),
        ({"evaluation__attacks__pgd__name": "pdg"}, "did you mean 'pgd'"),
        ({"evaluation__attacks__pgd__epsilon": 8.0}, "8/255"),
        ({"evaluation__attacks__pgd__steps": -1}, "steps is -1"),
        ({"train__steps": -5}, "at least 0"),
        ({"train__batch_size": 0}, "at least 1"),
        ({"train__checkpoint_every": 0}, "at least 1"),
        ({"evaluation__examples": -1}, "at least 0"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        configs.check(changed(**fields))


def test_an_attack_on_the_command_line_is_refused_where_none_is_taken():
    config = changed(defense__name="free_adversarial_training", defense__epsilon=0.1, defense__attack__epsilon=0.05)
    configs.check(config)
    says = "takes no attack: leave out --config.defense.attack.epsilon; write --config.defense.epsilon for its radius"
    with pytest.raises(ValueError, match=says):
        configs.check(config, {"config.defense.attack.epsilon"})


def test_the_training_attack_is_checked_only_where_it_is_used():
    configs.check(changed(defense__attack__epsilon=8.0))
    with pytest.raises(ValueError, match="8/255"):
        configs.check(changed(defense__name="mixed_minibatch_pgd", defense__attack__epsilon=8.0))


def test_unknown_fields_of_a_file_are_refused():
    config = configs.default()
    with config.unlocked():
        config.train.stpes = 3
    with pytest.raises(ValueError, match="unknown field of config.train 'stpes'; did you mean 'steps'"):
        configs.check(config)
    config = configs.default()
    with config.unlocked():
        config.evaluation.attacks.mine = configs.attack(epsilon=0.1, step_size=0.1, steps=1)
        config.evaluation.attacks.mine.sptes = 3
    with pytest.raises(ValueError, match="config.evaluation.attacks.mine"):
        configs.check(config)


def test_missing_fields_of_an_attack_are_named():
    with pytest.raises(ValueError, match="needs step_size, steps"):
        configs.build_attack(configs.attack(epsilon=0.1))


def test_fields_the_defence_does_not_use_are_told_from_a_file_and_refused_on_the_command_line():
    config = changed(defense__weight=0.5, defense__gamma=2.0)
    assert configs.unused(config) == ["gamma=2.0", "weight=0.5"]
    configs.check(config)
    with pytest.raises(ValueError, match="'undefended' has no weight: leave out --config.defense.weight"):
        configs.check(config, {"config.defense.weight"})
    with pytest.raises(ValueError, match="'digits_cnn' has no initializer"):
        configs.check(changed(model__initializer="glorot"), {"config.model.initializer"})


def test_an_average_longer_than_the_run_is_doubted():
    (doubt,) = configs.doubts(changed(optimizer__ema=0.9999, train__steps=2_000))
    assert "82 % of the averaged weights" in doubt
    assert not configs.doubts(changed(optimizer__ema=0.9999, train__steps=80_000))
    assert not configs.doubts(configs.default())
