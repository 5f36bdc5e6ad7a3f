"""What a tournament's verdicts say: ratings, what truth is worth to each player, and judge accuracy against rating.

In a debate a game is won by the seat that the judge favours. A lone consultant meets nobody: two consultants who
defend the same answer to the same question are compared by the probability that each makes the judge give it.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from rewards.statistics import cluster_mean, wilson
from trainer.ratings import Game, RatingError, Ratings, TruthRatings, accuracy_slope, rate, rate_by_truth
from trainer.verdicts import right

Triple = list[float]
"""Estimate and the ends of its 95 % interval."""


def standings(table: pd.DataFrame, anchor: str, resamples: int = 1000) -> dict[str, Any]:
    """Everything that is shown, by judge; players in order of their rating by the first judge."""
    judges = list(dict.fromkeys(table["judge"]))
    found = {judge: _of_judge(table[table["judge"] == judge], anchor, resamples) for judge in judges}
    first = found[judges[0]]["players"]
    players = sorted(first, key=lambda name: -first[name]["elo"][0])
    return {"anchor": anchor, "players": players, "judges": found}


def order(table: pd.DataFrame, judge: str, players: Sequence[str]) -> list[str]:
    """The players from the highest rating to the lowest, without intervals."""
    games = games_of(table[(table["judge"] == judge) & table["valid"]])
    rated = rate(games, players[0], resamples=1)
    return sorted(rated.players, key=lambda name: -rated.interval(name)[0])


def games_of(table: pd.DataFrame) -> list[Game]:
    """The games in one judge's valid verdicts, with their covariates."""
    alone = (table["seat_b"] == "").all()
    return _comparisons(table) if alone else _debates(table)


def _of_judge(table: pd.DataFrame, anchor: str, resamples: int) -> dict[str, Any]:
    valid = table[table["valid"]]
    games, alone = games_of(valid), bool((table["seat_b"] == "").all())
    between = [game for game in games if game.first != game.second]
    plain = [_without_covariates(game) for game in between]
    rated = rate(plain, anchor, resamples=resamples)
    controlled = truth = None
    if not alone:
        controlled = rate(between, anchor, resamples=resamples)
        truth = rate_by_truth([_without_covariates(game) for game in games], anchor, resamples=resamples)
    return {
        "invalid": int((~table["valid"]).sum()),
        "debates": len(table),
        "covariates": dict(controlled.covariates) if controlled else {},
        "players": {name: _player(name, valid, rated, controlled, truth) for name in rated.players},
        "grid": _grid(between, rated.players),
        "slope": _slope(valid, plain, anchor, resamples),
    }


def _player(
    name: str, valid: pd.DataFrame, rated: Ratings, controlled: Ratings | None, truth: TruthRatings | None
) -> dict[str, Any]:
    own = _own(valid, name)
    accuracy = cluster_mean(right(own), own["story_id"])
    found: dict[str, Any] = {
        "elo": _triple(rated.interval, name),
        "accuracy": [accuracy.estimate, accuracy.low, accuracy.high],
    }
    if controlled is not None and truth is not None:
        found |= {
            "elo_controlled": _triple(controlled.interval, name), "right": _triple(truth.right, name),
            "wrong": _triple(truth.wrong, name), "truth_advantage": _triple(truth.truth_advantage, name),
        }  # fmt: skip
    return found


def _triple(interval: Callable[[str], tuple[float, float, float]], name: str) -> Triple:
    return list(interval(name))


def _own(valid: pd.DataFrame, name: str) -> pd.DataFrame:
    """A player's debates with itself, or all of a lone consultant's."""
    return valid[(valid["seat_a"] == name) & valid["seat_b"].isin((name, ""))]


def _debates(table: pd.DataFrame) -> list[Game]:
    covariates = pd.DataFrame({
        "speaking in seat A": 1.0,
        "more words": _squashed(table["words_a"] - table["words_b"]),
        "more verified quotes": _squashed(table["verified_a"] - table["verified_b"]),
    }, index=table.index)  # fmt: skip
    return [
        Game(a, b, 0.5 if p == 0.5 else float(p > 0.5), story, values, first_is_right=correct == "A")
        for a, b, p, story, correct, values in zip(
            table["seat_a"], table["seat_b"], table["p_mean"], table["story_id"], table["correct_seat"],
            covariates.to_dict("records"), strict=True,
        )
    ]  # fmt: skip


def _squashed(difference: pd.Series) -> pd.Series:
    """tanh of the difference in standard deviations, as in length-controlled AlpacaEval (Dubois et al. 2024)."""
    spread = float(difference.std(ddof=0))
    return np.tanh(difference / spread) if spread else difference * 0.0


def _comparisons(table: pd.DataFrame) -> list[Game]:
    """Two consultants on the same side of the same question: the one whom the judge believes more has won."""
    games = []
    for (_, _, story), cases in table.groupby(["question_id", "swapped_seats", "story_id"], sort=True):
        opinions = dict(zip(cases["seat_a"], cases["p_mean"], strict=True))
        for one, two in combinations(sorted(opinions), 2):
            p, q = opinions[one], opinions[two]
            games.append(Game(one, two, 0.5 if p == q else float(p > q), story))
    return games


def _without_covariates(game: Game) -> Game:
    return Game(game.first, game.second, game.score, game.cluster, first_is_right=game.first_is_right)


def _grid(games: Sequence[Game], players: Sequence[str]) -> dict[str, dict[str, Triple]]:
    """Win rate of the row's player against the column's, with its Wilson interval, for those who met."""
    found: dict[str, dict[str, Triple]] = {name: {} for name in players}
    for one, two in combinations(players, 2):
        scores = [g.score if g.first == one else 1 - g.score for g in games if {g.first, g.second} == {one, two}]
        if scores:
            share = wilson(sum(scores), len(scores))
            found[one][two] = [share.estimate, share.low, share.high]
            found[two][one] = [1 - share.estimate, 1 - share.high, 1 - share.low]
    return found


def _slope(valid: pd.DataFrame, games: Sequence[Game], anchor: str, resamples: int) -> dict[str, Any] | None:
    """Points of accuracy per 100 Elo over the players; None with fewer than three."""
    alone = valid[valid["seat_b"].isin(("",)) | (valid["seat_a"] == valid["seat_b"])]
    judged = list(zip(alone["seat_a"], alone["story_id"], right(alone).tolist(), strict=True))
    shared = {story for _, story, _ in judged} & {game.cluster for game in games}
    try:
        found = accuracy_slope(
            [g for g in games if g.cluster in shared], [j for j in judged if j[1] in shared], anchor,
            resamples=resamples,
        )  # fmt: skip
    except RatingError:
        return None
    return {"points_per_100_elo": found.points_per_100_elo, "low": found.low, "high": found.high}
