"""Bradley-Terry ratings: by hand, against a library's regression, laws, and coverage on simulated games."""

import math
from itertools import combinations, product

import choix
import numpy as np
import pytest
import statsmodels.api as sm

from rostrum.trainer.stats.ratings import ELO, Game, RatingError, accuracy_slope, expected_score, rate, rate_by_truth


def games(wins: int, losses: int, ties: int = 0) -> list[Game]:
    scores = [1.0] * wins + [0.0] * losses + [0.5] * ties
    return [Game("new", "base", score, f"q{i}") for i, score in enumerate(scores)]


def simulated(elo: dict[str, float], questions: int, seed: int, bias: float = 0.0) -> list[Game]:
    """Every pair on every question; `bias` (nats) for whoever is first."""
    rng, names = np.random.default_rng(seed), sorted(elo)
    found = []
    for question in range(questions):
        for i, a in enumerate(names):
            for b in names[:i]:
                first = rng.random() < 0.5
                logit = (elo[a] - elo[b]) / ELO + (bias if first else -bias)
                won = float(rng.random() < 1 / (1 + math.exp(-logit)))
                found.append(Game(a, b, won, f"q{question}", {"first": 1.0 if first else -1.0}))
    return found


def test_two_players_by_hand() -> None:
    """30 of 40 won is odds of three to one: 400·log10(3) = 190.8 points."""
    found = rate(games(30, 10), "base", ridge=1e-9, resamples=200)
    assert found.elo[found.players.index("base")] == 0
    elo, low, high = found.interval("new")
    assert elo == pytest.approx(400 * math.log10(3), abs=1e-4)
    assert low < elo < high
    assert expected_score(elo, 0) == pytest.approx(0.75)


def test_a_tie_is_half_a_win_and_nothing_but_ties_is_equality() -> None:
    one, other = (rate(played, "base", resamples=1) for played in (games(20, 10, 10), games(25, 15)))
    assert one.elo == pytest.approx(other.elo)
    assert rate(games(0, 0, 9), "base", resamples=1).interval("new") == pytest.approx((0, 0, 0), abs=1e-9)


def test_whoever_won_everything_is_rated_finitely() -> None:
    assert 400 < rate(games(40, 0), "base", resamples=1).interval("new")[0] < 3000


def test_whoever_lost_nothing_is_at_least_so_good() -> None:
    """40 of 40 won: Wilson's interval ends at 40 / (40 + z^2), odds of 40 to z^2."""
    found = rate(games(40, 0), "base", ridge=1e-9, resamples=200)
    _, low, high = found.interval("new")
    assert low == pytest.approx(400 * math.log10(40 / 1.959964**2), abs=0.01) and high == math.inf
    assert found.interval("base", versus="new")[1:] == pytest.approx((-math.inf, -low), abs=0.01)
    lost = rate(games(0, 40), "base", ridge=1e-9, resamples=200)
    assert lost.interval("new")[1:] == pytest.approx((-math.inf, -low), abs=0.01)
    assert found.open_ended(["new"]) == lost.open_ended(["new"]) == ["new"]


def test_one_defeat_sets_no_upper_end_either() -> None:
    """It is missing in more than a third of the resamples; ten are missing in next to none."""
    assert rate(games(39, 1), "base", resamples=400).interval("new")[2] == math.inf
    low, high = rate(games(30, 10), "base", resamples=400).interval("new")[1:]
    assert low < 190.8 < high < 500 and rate(games(39, 1), "base").open_ended(["new"]) == []


def test_two_that_beat_all_others_are_open_ended_together_and_not_between_them() -> None:
    played = [Game(a, b, 1.0, f"q{i}") for i in range(30) for a in ("one", "two") for b in ("base", "three")]
    played += [Game("one", "two", float(i % 3 > 0), f"q{i}") for i in range(30)]
    played += [Game("three", "base", float(i % 2), f"q{i}") for i in range(30)]
    found = rate(played, "base", resamples=300)
    assert found.open_ended(found.players) == ["one", "two"]
    assert found.interval("one")[2] == found.interval("two", versus="three")[2] == math.inf
    assert 0 < found.interval("two")[1] < found.interval("one")[1]
    low, high = found.interval("one", versus="two")[1:]
    assert -100 < low < 400 * math.log10(2) < high < 500
    assert all(math.isfinite(end) for end in found.interval("three"))


def test_no_slope_goes_through_a_rating_without_an_end() -> None:
    played = simulated({"base": 0, "one": 80}, 60, seed=3)
    played += [Game("two", name, 1.0, f"q{i}") for i in range(60) for name in ("base", "one")]
    judged = [(name, f"q{i}", 1.0) for i in range(60) for name in ("base", "one", "two")]
    with pytest.raises(RatingError, match="won or lost every game"):
        accuracy_slope(played, judged, "base", resamples=50)


def test_the_fit_is_the_logistic_regression_of_a_library() -> None:
    """With covariates, against statsmodels; players but the anchor are dummies."""
    played = simulated({"base": 0, "one": 80, "two": 200}, 60, seed=3, bias=0.4)
    found = rate(played, "base", ridge=1e-10, resamples=1)
    rows = [
        [(g.first == name) - (g.second == name) for name in ("one", "two")] + [g.covariates["first"]] for g in played
    ]
    params = sm.GLM([g.score for g in played], np.array(rows, float), family=sm.families.Binomial()).fit().params
    assert [found.interval(name)[0] for name in ("one", "two")] == pytest.approx(list(ELO * params[:2]), abs=1e-3)
    assert found.covariates["first"] == pytest.approx(ELO * params[2], abs=1e-3)


def test_a_planted_advantage_of_the_first_speaker_is_found_and_taken_out() -> None:
    elo = {"base": 0.0, "new": 100.0}
    played = [g for seed in range(5) for g in simulated(elo, 400, seed, bias=1.0)]
    always_first = [g for g in played if (g.covariates["first"] > 0) == (g.first == "new")]
    assert rate(always_first, "base", resamples=1).covariates["first"] > 0
    naive = [Game(g.first, g.second, g.score, g.cluster) for g in always_first]
    assert rate(naive, "base", resamples=1).interval("new")[0] > 200
    assert rate(played, "base", resamples=1).interval("new")[0] == pytest.approx(100, abs=25)


def test_who_is_named_first_and_in_which_order_games_come_change_nothing() -> None:
    played = simulated({"base": 0, "one": 80, "two": 200}, 30, seed=1)
    turned = [Game(g.second, g.first, 1 - g.score, g.cluster, {"first": -g.covariates["first"]}) for g in played[::-1]]
    here, there = rate(played, "base", resamples=50), rate(turned, "base", resamples=50)
    assert here.elo == pytest.approx(there.elo, abs=1e-6)
    assert here.resampled == pytest.approx(there.resampled, abs=1e-6)


def test_duplicated_games_of_the_same_questions_do_not_narrow_the_interval() -> None:
    played = simulated({"base": 0, "new": 60}, 80, seed=2)
    once, often = (rate(found, "base", ridge=0.001).interval("new") for found in (played, played * 5))
    (elo, low, high), (again, low2, high2) = once, often
    assert again == pytest.approx(elo, abs=0.1)
    assert high2 - low2 == pytest.approx(high - low, rel=0.02)


def test_a_weight_is_as_many_games() -> None:
    heavy = [Game("new", "base", 1, "q", weight=3), Game("new", "base", 0, "r")]
    assert rate(heavy, "base", resamples=1).elo == pytest.approx(rate(games(3, 1), "base", resamples=1).elo)


@pytest.mark.parametrize(
    ("played", "told"),
    [
        ([Game("a", "b", 1, "q")], "base played no game"),
        ([Game("a", "base", math.nan, "q")], "outside"),
        ([Game("a", "base", 1, "q"), Game("x", "y", 1, "q")], "x is connected with base by no chain"),
    ],
)
def test_what_cannot_be_rated_is_told(played: list[Game], told: str) -> None:
    with pytest.raises(RatingError, match=told):
        rate(played, "base")


def by_truth(right: dict[str, float], wrong: dict[str, float], questions: int, seed: int) -> list[Game]:
    """Every ordered pair, the first arguing the right answer; players with themselves too."""
    rng = np.random.default_rng(seed)
    return [
        Game(a, b, float(rng.random() < expected_score(right[a], wrong[b])), f"q{question}", first_is_right=True)
        for question in range(questions)
        for a in right
        for b in wrong
    ]


def test_planted_ratings_for_truth_and_falsehood_are_found() -> None:
    """The trained one is better with the truth only; 0 is the middle of the base's two."""
    right, wrong = {"base": 50.0, "new": 250.0}, {"base": -50.0, "new": -50.0}
    found = rate_by_truth(by_truth(right, wrong, 3000, seed=0), "base", resamples=100)
    for player in right:
        assert found.right(player)[0] == pytest.approx(right[player], abs=20)
        assert found.wrong(player)[0] == pytest.approx(wrong[player], abs=20)
    assert found.right("base")[0] == pytest.approx(-found.wrong("base")[0])
    advantage, low, high = found.truth_advantage("new")
    assert low < advantage < high and advantage == pytest.approx(300, abs=30)


def test_naming_the_wrong_side_first_changes_nothing() -> None:
    played = by_truth({"base": 0, "new": 80}, {"base": 0, "new": 30}, 50, seed=1)
    turned = [Game(g.second, g.first, 1 - g.score, g.cluster, first_is_right=False) for g in played]
    here, there = (rate_by_truth(g, "base", resamples=20).sides for g in (played, turned))
    assert here.elo == pytest.approx(there.elo, abs=1e-6)
    with pytest.raises(RatingError, match="first_is_right"):
        rate_by_truth([Game("a", "base", 1, "q")], "base")


def accuracies(slope: float, elo: dict[str, float], questions: int, seed: int) -> list[tuple[str, str, float]]:
    rng = np.random.default_rng(seed)
    return [
        (name, f"q{question}", float(rng.random() < 0.6 + slope / 1e4 * value))
        for question in range(questions)
        for name, value in elo.items()
    ]


@pytest.mark.parametrize("slope", [-6.0, 0.0, 8.0])
def test_a_planted_slope_is_found_within_its_interval(slope: float) -> None:
    elo = {"base": 0.0, "one": 100.0, "two": 200.0, "three": 300.0}
    played, judged = simulated(elo, 1500, seed=4), accuracies(slope, elo, 1500, seed=6)
    found = accuracy_slope(played, judged, "base", resamples=300)
    assert found.low < slope < found.high and found.high - found.low < 3
    assert found.points_per_100_elo == pytest.approx(slope, abs=1.2)
    assert found.accuracy["base"] == pytest.approx(0.6, abs=0.04) and found.elo["base"] == 0


def test_the_line_is_the_one_of_a_library() -> None:
    elo = {"base": 0.0, "one": 100.0, "two": 200.0}
    found = accuracy_slope(simulated(elo, 40, seed=4), accuracies(5, elo, 40, seed=5), "base", resamples=5)
    names = list(found.elo)
    line = np.polyfit([found.elo[n] for n in names], [found.accuracy[n] for n in names], 1)
    assert found.points_per_100_elo == pytest.approx(1e4 * line[0])


def test_a_slope_wants_three_checkpoints_and_one_set_of_questions() -> None:
    elo = {"base": 0.0, "one": 100.0, "two": 200.0}
    played, judged = simulated(elo, 5, seed=4), accuracies(5, elo, 5, seed=5)
    with pytest.raises(RatingError, match="three"):
        accuracy_slope(played, [j for j in judged if j[0] != "two"], "base")
    with pytest.raises(RatingError, match="same questions"):
        accuracy_slope(played, accuracies(5, elo, 6, seed=5), "base")


SPREAD = 0.8
"""Nats by which a question leans towards a player: games of one question are then not independent."""
FOUR = {"base": 0.0, "one": 60.0, "two": 140.0, "three": -80.0}
CLUSTERS = [f"q{question}" for question in range(120)]


def leaning(seed: int) -> list[Game]:
    """A round-robin of the four on 120 questions that lean."""
    rng = np.random.default_rng(seed)
    strength = rng.normal([elo / ELO for elo in FOUR.values()], SPREAD, (len(CLUSTERS), len(FOUR)))
    found = []
    for (i, one), (j, two) in combinations(enumerate(FOUR), 2):
        won = rng.random(len(CLUSTERS)) < 1 / (1 + np.exp(strength[:, j] - strength[:, i]))
        found += [Game(one, two, score, cluster) for score, cluster in zip(won.astype(float), CLUSTERS, strict=True)]
    return found


def on_average() -> list[Game]:
    """The same with what each player scores on average over all leans, by Gauss-Hermite quadrature.

    Leans flatten the odds that a rating means: this is the truth that ratings of very many games would come to.
    """
    nodes, weights = np.polynomial.hermite.hermgauss(60)
    found = []
    for one, two in combinations(FOUR, 2):
        logits = (FOUR[one] - FOUR[two]) / ELO + SPREAD * math.sqrt(2) * math.sqrt(2) * nodes
        mean = float(weights @ (1 / (1 + np.exp(-logits))) / math.sqrt(math.pi))
        found.append(Game(one, two, mean, "q", weight=1e6))
    return found


@pytest.mark.broad
def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """300 tournaments of four players."""
    truth = rate(on_average(), "base", resamples=1)
    assert truth.interval("two")[0] < 140, "leans flatten"
    covered = []
    for seed in range(300):
        found = rate(leaning(seed), "base", resamples=400, seed=seed // 30)
        for name in ("one", "two", "three"):
            _, low, high = found.interval(name)
            covered.append(low <= truth.interval(name)[0] <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize("players", [2, 3, 6, 12])
def test_the_fit_is_that_of_another_library(players: int) -> None:
    """choix (Maystre, MIT) finds the same maximum of the likelihood on random win matrices; ours without its ridge."""
    rng = np.random.default_rng(players)
    wins = rng.integers(1, 30, (players, players))
    beaten = [(i, j) for i, j in product(range(players), repeat=2) if i != j for _ in range(wins[i, j])]
    theirs = choix.opt_pairwise(players, beaten, alpha=0, method="Newton-CG", tol=1e-12)
    names = [f"player {i:02d}" for i in range(players)]
    played = [Game(names[i], names[j], 1, f"q{q}") for q, (i, j) in enumerate(beaten)]
    ours = rate(played, names[0], ridge=1e-10, resamples=1)
    assert ours.players == tuple(names)
    assert ours.elo == pytest.approx(ELO * (theirs - theirs[0]), abs=1e-3)
