"""Recipes of papers: every number that the facts state, and that they train."""

import numpy as np
import pytest

from skaudio.neural_network import MultiViewBlendingClassifier, SampleCNNClassifier
from skaudio.papers import lee2018, phan2021
from skaudio.views import Views


@pytest.mark.parametrize(
    ("data", "n_samples", "sr", "held_out"),
    [
        ("esc50", 66650, 44100, 2),
        ("dcase2016", 66650, 44100, 0.1),
        ("gtzan", 33330, 22050, 0.1),
    ],
)
def test_the_multi_view_paper(data, n_samples, sr, held_out):
    recipe = phan2021(data)
    assert round(recipe["segment_length"] * sr) == n_samples
    assert recipe["validation_fraction"] == held_out
    assert (recipe["batch_size"], recipe["optimizer"]) == (64, "adam")
    assert recipe["augmentation"] is None
    assert recipe["width"] == 1.0
    schedule = recipe["lr_schedule"]
    rates = [schedule._rate(1.0, epoch) for epoch in (0, 9, 10, 199)]
    assert rates == [0.1, 0.1, 1.0, 1.0]  # ten epochs of warm-up, whatever the budget
    assert (schedule.factor, len(schedule.decay_epochs)) == (0.8, 3)
    assert max(schedule.decay_epochs) < recipe["max_epochs"]
    rule = recipe["blending"]
    assert (rule.momentum, rule.min_weight, rule.rule) == (0.0, 0.0, "adaptive")


@pytest.mark.parametrize(("data", "batch_size"), [("magnatagatune", 23), ("msd", 50)])
def test_samplecnn(data, batch_size):
    recipe = lee2018(data)
    assert np.prod(recipe["sizes"]) == 59049
    assert (recipe["batch_size"], recipe["dropout"]) == (batch_size, 0.5)
    assert (recipe["optimizer"], recipe["lr"]) == ("nesterov", 0.01)
    schedule, validation = recipe["lr_schedule"], recipe["validation_fraction"]
    assert (schedule.n_stages, schedule.factor, schedule.patience) == (5, 5.0, 3)
    assert recipe["augmentation"].segments == "consecutive"
    assert validation.n_segments == "all"
    assert (validation.monitor, validation.keep) == ("loss", "last-stage")


def test_what_is_chosen_is_what_the_docstrings_say():
    """Changes of these numbers are to be meant."""
    recipe = phan2021()
    assert (recipe["lr"], recipe["max_epochs"], recipe["dropout"]) == (2e-4, 2000, 0.25)
    assert recipe["attention"] == "spatio-temporal"
    assert recipe["lr_schedule"].decay_epochs == (200, 600, 1000)
    assert recipe["lr_schedule"].warmup_factor == 0.1
    assert (recipe["blending"].period, recipe["blending"].window) == (100, 20)
    for of_paper in (recipe, lee2018()):
        assert (of_paper["n_segments"], of_paper["width"]) == (10, 1.0)
    recipe = lee2018()
    assert (recipe["sr"], recipe["filters"]) == (22050, "paper")
    assert recipe["sizes"] == (3,) * 10
    assert recipe["max_epochs"] == 5 * 1000  # a thousand for every rate
    assert recipe["validation_fraction"].fraction == 0.1


@pytest.mark.parametrize("recipe", [phan2021, lee2018])
def test_other_data_sets_are_refused(recipe):
    with pytest.raises(ValueError, match=r"data must be one of .*; got 'esc10'"):
        recipe("esc10")
    assert recipe() is not recipe()  # a dictionary of one's own to change


@pytest.mark.filterwarnings("ignore:Branch weights will stay uniform")
def test_they_are_parameters_of_the_classifiers():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 12)
    views = Views({"mel": rng.normal(size=(24, 8, 100))}, {"mel": 50.0})
    small = {"width": 0.03, "max_epochs": 1, "random_state": 0}
    clf = MultiViewBlendingClassifier(**phan2021() | small).fit(views, y)
    assert clf._spec.n_steps == {"mel": 76}
    assert clf.history_[0]["lr"] == pytest.approx(2e-5)
    sounds = rng.normal(size=(24, 30))
    net = SampleCNNClassifier(**lee2018() | small | {"sizes": (3, 3)})
    net.fit(sounds[:16], y[:16], X_valid=sounds[16:], y_valid=y[16:])
    assert np.isfinite(net.history_[0]["valid_loss"])
