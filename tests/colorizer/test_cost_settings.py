"""What the settings of networks and costs refuse, in words, and that old checkpoints still make sense to them."""

import pytest

from colorizer.config import TrainingConfig

NEW = {
    "attention": False,
    "passes": 1,
    "confidence": False,
    "initialization": "he",
    "discriminator_spectral": False,
    "huber_weight": 0.0,
    "huber_delta": 0.1,
    "color_space": "rgb",
    "rare_weight": 0.0,
    "likelihood_weight": 1.0,
    "tv_weight": 0.0,
    "l1_decay": 0.0,
    "l2_decay": 0.0,
    "adversarial": "vanilla",
    "penalty_weight": 10.0,
    "r1_weight": 0.0,
    "label_smoothing": 0.0,
    "feature_weight": 0.0,
}


def test_a_config_from_before_these_options_means_what_it_meant():
    config = TrainingConfig(channels=7, lr_g=1e-3)
    old = {name: value for name, value in config.to_dict().items() if name not in NEW}
    assert len(old) == len(config.to_dict()) - len(NEW)
    assert TrainingConfig.from_dict(old) == config
    assert {name: value for name, value in config.to_dict().items() if name in NEW} == NEW


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initialization": "zero"}, "got 'zero': filters that begin equal get equal gradients"),
        ({"initialization": "one"}, "Expected initialization to be one of 'he', 'glorot', 'normal', 'zero', got 'one'"),
        ({"passes": 0}, "Expected passes >= 1, got passes=0"),
        ({"attention": 1}, "Expected attention to be True or False, got 1"),
        ({"activation": "swish"}, "'prelu', 'elu', 'silu', 'maxout', got 'swish'"),
        ({"adversarial": "wgan"}, "Expected adversarial to be one of 'vanilla', 'least_squares', 'hinge', 'wgan_gp'"),
        ({"color_space": "hsv"}, "Expected color_space to be one of 'rgb', 'lab', got 'hsv'"),
        ({"huber_weight": -1.0}, r"Expected huber_weight >= 0, got huber_weight=-1\.0"),
        ({"huber_delta": 0.0}, "Expected huber_delta > 0"),
        ({"tv_weight": -1.0}, "Expected tv_weight >= 0"),
        ({"l1_decay": -1.0}, "Expected l1_decay >= 0"),
        ({"l2_decay": -1.0}, "Expected l2_decay >= 0"),
        ({"r1_weight": -1.0}, "Expected r1_weight >= 0"),
        ({"feature_weight": -1.0}, "Expected feature_weight >= 0"),
        ({"penalty_weight": -1.0}, "Expected penalty_weight >= 0"),
        ({"likelihood_weight": 0.0}, "Expected likelihood_weight > 0"),
        ({"rare_weight": 1.0}, r"Expected 0 <= rare_weight < 1, got rare_weight=1\.0"),
        ({"label_smoothing": 0.5}, r"Expected 0 <= label_smoothing < 0\.5, got label_smoothing=0\.5"),
        (
            {"adversarial": "wgan_gp", "penalty_weight": 0.0},
            r"Expected penalty_weight > 0 with adversarial='wgan_gp', which is not what it is without, got .*=0\.0",
        ),
        ({"adversarial": "dragan", "penalty_weight": 0.0}, "Expected penalty_weight > 0 with adversarial='dragan'"),
        (
            {"adversarial": "dragan", "r1_weight": 1.0},
            r"Expected r1_weight = 0 with adversarial='dragan', whose penalty pulls slopes to 1 where R1 .* to 0, got",
        ),
        (
            {"adversarial": "hinge", "label_smoothing": 0.1},
            r"Expected label_smoothing = 0 with adversarial='hinge', which has no labels, got label_smoothing=0\.1",
        ),
        ({"adversarial": "wgan_gp", "label_smoothing": 0.1}, "with adversarial='wgan_gp', which has no labels"),
        (
            {"adversarial_weight": 0.0, "feature_weight": 1.0},
            r"Expected feature_weight = 0 with adversarial_weight = 0, as no discriminator learns .*=1\.0",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig.from_dict(changes)


@pytest.mark.parametrize("name", ["l1_weight", "mse_weight", "huber_weight", "adversarial_weight"])
def test_any_one_cost_will_do(name):
    nothing = dict.fromkeys(("l1_weight", "mse_weight", "huber_weight", "adversarial_weight"), 0.0)
    assert TrainingConfig.from_dict(nothing | {name: 1.0})
    with pytest.raises(ValueError, match="huber_weight and adversarial_weight above 0, got 0 for all"):
        TrainingConfig.from_dict(nothing | {"tv_weight": 1.0})
