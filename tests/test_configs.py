"""A configuration is checked whole before any work, and becomes exactly the parts it names."""

import keras
import pytest

from alp_tf import attacks, configs, datasets, defenses


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
def test_every_defence_is_built_with_its_own_fields(name):
    config = changed(defense__name=name, defense__noise=0.1, defense__label_smoothing=0.2, seed=5)
    if "weight" in configs._parameters(defenses.NAMED[name]):
        config.defense.weight = 0.25
    configs.check(config)
    defense = configs.build_defense(config, configs.build_classifier(config, datasets.load("digits")))
    assert type(defense) is defenses.NAMED[name]
    assert (defense.noise, defense.label_smoothing, defense.seed) == (0.1, 0.2, 5)
    assert getattr(defense, "weight", 0.25) == 0.25
    if hasattr(defense, "attack"):
        assert defense.attack == attacks.PGD(epsilon=0.2, step_size=0.05, steps=10)


def test_attacks_are_built_from_the_fields_that_are_set():
    built = configs.build_attack(configs.attack(name="bim", epsilon=0.1, step_size=0.02, steps=3, target="random"))
    assert built == attacks.BIM(epsilon=0.1, step_size=0.02, steps=3, target="random")
    square = configs.build_attack(configs.attack(name="square", epsilon=0.1, queries=70))
    assert square == attacks.Square(epsilon=0.1, queries=70)
    # FGSM has no steps; a file may leave them set.
    assert configs.build_attack(configs.attack(name="fgsm", epsilon=0.1, steps=3)) == attacks.FGSM(epsilon=0.1)


def test_schedules_span_the_run():
    cosine = configs.build_optimizer(changed(optimizer__schedule="cosine", train__steps=100)).learning_rate
    assert isinstance(configs.build_optimizer(changed(optimizer__schedule="cosine")), keras.optimizers.Adam)
    assert float(cosine) == pytest.approx(1e-3)
    steps = configs.build_optimizer(
        changed(
            optimizer__name="sgd",
            optimizer__momentum=0.9,
            optimizer__schedule="piecewise",
            optimizer__boundaries=(10, 20),
            optimizer__factors=(0.1, 0.01),
        )
    )
    assert steps.momentum == 0.9
    rates = [float(steps._learning_rate(step)) for step in (0, 11, 21)]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-5])


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
