"""How much is noise: the parts of a variance, the seeds that it takes and the best of n are what they should be."""

from itertools import combinations
from math import inf
from statistics import mean, variance

import numpy as np
import pytest
from samples import made_up_record
from scipy import stats

from resnet_lib.evidence import noise
from resnet_lib.runs import records as kept
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import resnet


def draws(seeds: int, images: int, between: float = 0.0) -> np.ndarray:
    """Which images are wrong: each a coin of its own, and nets that are worse by so much with one seed than another."""
    generator = np.random.default_rng(0)
    each, net = generator.uniform(0.1, 0.4, images), between * generator.standard_normal((seeds, 1))
    return generator.random((seeds, images)) < np.clip(each + net, 0, 1)


def test_between_is_the_covariance_of_two_halves_over_all_ways_to_halve() -> None:
    wrong = draws(5, 8, between=0.2)
    covariances = []
    for half in combinations(range(8), 4):
        rest = [image for image in range(8) if image not in half]
        one, other = (100 * wrong[:, list(images)].mean(axis=1) for images in (half, rest))
        covariances.append(np.cov(one, other)[0, 1])
    parts = noise.scatter(wrong)
    assert parts.between == pytest.approx(np.mean(covariances))
    assert (
        parts.total
        == pytest.approx(variance(100 * wrong.mean(axis=1)))
        == pytest.approx(parts.between + parts.sampling)
    )


def test_coins_leave_nothing_between_nets_and_nets_that_differ_do() -> None:
    coins, nets = noise.scatter(draws(200, 500)), noise.scatter(draws(200, 500, between=0.1))
    assert abs(coins.between) < 0.3 * coins.sampling
    assert nets.between == pytest.approx(100, rel=0.3)
    assert nets.sampling == pytest.approx(coins.sampling, rel=0.3)


def test_runs_that_do_not_tell_which_images_are_right_are_left_alone() -> None:
    profile, wrong = PROFILES["small"], draws(2, 40)
    told, silent = (made_up_record(resnet(20).at(profile, seed)) for seed in (0, 1))
    told = told.model_copy(update={"test_images": kept.TestImages.of((~wrong[0]).tolist())})
    assert (noise.wrong_images([told]) == wrong[:1]).all()
    assert noise.wrong_images([told, silent]) is noise.wrong_images([]) is None


def test_pairs_are_counted_once() -> None:
    wrong = np.array([[True, False, False, False], [False, False, False, False], [True, True, True, True]])
    assert noise.share_of_one_right(wrong) == pytest.approx(100 * (1 + 3 + 4) / 12)


def test_the_interval_of_a_deviation_holds_it_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    held = [low < 2 < high for low, high in map(noise.deviation_interval, 2 * generator.standard_normal((1000, 4)))]
    assert mean(held) == pytest.approx(0.95, abs=0.02)


def test_power_is_how_often_students_test_finds_the_difference() -> None:
    generator = np.random.default_rng(0)
    drawn = generator.normal(0.5, 0.6, (4000, 8))
    found = (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean()
    assert noise.power(0.5, 0.6, 8) == noise.power(-0.5, 0.6, 8) == pytest.approx(found, abs=0.02)


@pytest.mark.parametrize("deviation", [0.1, 0.3, 3.0])
def test_the_seeds_needed_are_the_fewest(deviation: float) -> None:
    needed = noise.seeds_needed(0.5, deviation)
    assert noise.power(0.5, deviation, needed) >= 0.95 > noise.power(0.5, deviation, needed - 1)
    assert noise.seeds_needed(0.5, 1000) == inf


def test_the_best_of_n_is_what_draws_give() -> None:
    lowest = -np.random.default_rng(0).standard_normal((20000, 5)).min(axis=1)
    gain, deviation = noise.best_of(5)
    assert (gain, deviation) == (pytest.approx(lowest.mean(), abs=0.02), pytest.approx(lowest.std(), abs=0.02))
    assert noise.best_of(1) == (pytest.approx(0, abs=1e-9), pytest.approx(1))


def test_two_outliers_do_not_hide_each_other() -> None:
    """The table of Grubbs (1969) for the two largest of nine, 5%: 0.1909."""
    even, bound = noise.two_largest([1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert bound == pytest.approx(0.1909, abs=0.005)
    assert even == pytest.approx(28 / 60)
    far, bound = noise.two_largest([1, 1.1, 0.9, 1, 1.05, 0.95, 1, 3, 3])
    assert far < bound


def test_facts_fail_where_the_numbers_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert noise.best_of_five()[0] and noise.no_outlier()[0]
    monkeypatch.setattr(noise, "table6_error", lambda _: "6.30 (6.61±0.16)")
    monkeypatch.setattr(noise, "two_largest", lambda _: (0.1, 0.2))
    assert not noise.best_of_five()[0] and not noise.no_outlier()[0]
