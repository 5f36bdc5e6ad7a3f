"""What a tournament's verdicts say: ratings, what truth is worth to each player, and judge accuracy against rating.

In a debate a game is won by the side that the judge favours. A lone consultant meets nobody but the judge: its game is
won if the judge approves of its answer. So its rating is the log-odds of its approval, over both assignments of every
question, less the base's on the same questions: persuasiveness on the same scale, though of another kind.
"""

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import Field

from rostrum.rewards.statistics import cluster_mean
from rostrum.rewards.types import favours
from rostrum.trainer.evaluation.verdict_table import right, scores
from rostrum.trainer.reading import DamagedError, Open, read_json
from rostrum.trainer.stats.ratings import Game, RatingError, Ratings, TruthRatings, accuracy_slope, rate, rate_by_truth

Triple = list[float | None]
"""Estimate and the ends of its 95 % interval."""
JUDGE = "(the judge)"
"""Whom lone consultants play against."""
StoredTriple = Annotated[tuple[float, float | None, float | None], Field(strict=False)]


class StoredSlope(Open):
    """What is counted on in a stored slope."""

    points_per_100_elo: float
    low: float
    high: float


class StoredPlayer(Open):
    """What is counted on in a stored player."""

    elo: StoredTriple
    accuracy: StoredTriple


class StoredJudge(Open):
    """What is counted on in what is stored of a judge."""

    players: dict[str, StoredPlayer]
    slope: StoredSlope | None


class StoredGroup(Open):
    """What is counted on in a stored group."""

    players: list[str]
    judges: Annotated[dict[str, StoredJudge], Field(min_length=1)]


class Standings(Open):
    """What is counted on in tournament.json."""

    anchor: str
    groups: Annotated[dict[str, StoredGroup], Field(min_length=1)]


def read_standings(path: Path) -> Standings:
    """Return what a tournament has found.

    Raises:
        DamagedError: the file is no tournament.json.
    """
    remedy = "run `rostrum tournament` again, or take it away"
    found = read_json(path, Standings, remedy)
    for name, group in found["groups"].items():
        for judge, one in group["judges"].items():
            for player in (found["anchor"], *one["players"]):
                numbered = re.fullmatch(r".* [0-9]{1,9}", player) is not None
                if player not in one["players"] or not (numbered or player == found["anchor"]):
                    raise DamagedError(path, f"{name}, {judge}: {player!r} is no player", remedy)
    return found


def standings(table: pd.DataFrame, anchor: str, resamples: int = 1000) -> dict[str, Any]:
    """Return everything that is shown, by judge; players in order of their rating by the first judge. Judges of whom no
    verdict is valid, such as people who judged none of these debates, rate nobody (`silent`)."""
    judges = [judge for judge in dict.fromkeys(table["judge"]) if judge not in silent(table)]
    found = {judge: _of_judge(table[table["judge"] == judge], anchor, resamples) for judge in judges}
    first = found[judges[0]]["players"]
    players = sorted(first, key=lambda name: -first[name]["elo"][0])
    return {"anchor": anchor, "players": players, "judges": found}


def silent(table: pd.DataFrame) -> list[str]:
    """Return the judges, but the first, of whom no verdict is valid."""
    judges = list(dict.fromkeys(table["judge"]))
    return [judge for judge in judges[1:] if not table.loc[table["judge"] == judge, "valid"].any()]


def order(table: pd.DataFrame, judge: str, players: Sequence[str]) -> list[str]:
    """Return the players from the highest rating to the lowest, without intervals."""
    games = games_of(table[(table["judge"] == judge) & table["valid"]])
    rated = rate(games, players[0], resamples=1)
    return sorted(rated.players, key=lambda name: -rated.interval(name)[0])


def games_of(table: pd.DataFrame) -> list[Game]:
    """Return the games in one judge's valid verdicts; those of debates with their covariates."""
    return _approvals(table) if alone(table) else _debates(table)


def alone(table: pd.DataFrame) -> bool:
    """Return whether these are lone consultants."""
    return bool((table["seat_b"] == "").all())


def _of_judge(table: pd.DataFrame, anchor: str, resamples: int) -> dict[str, Any]:
    valid, lone = table[table["valid"]], alone(table)
    games = games_of(valid)
    between = [game for game in games if game.first != game.second]
    plain = [_without_covariates(game) for game in between]
    rated = rate(plain, anchor, resamples=resamples)
    controlled = None if lone else rate(between, anchor, resamples=resamples)
    whole = JUDGE if lone else ""
    truth = rate_by_truth([_without_covariates(game) for game in games], anchor, whole=whole, resamples=resamples)
    players = [name for name in rated.players if name != JUDGE]
    return {
        "invalid": int((~table["valid"]).sum()),
        "debates": len(table),
        "covariates": dict(controlled.covariates) if controlled else {},
        "players": {name: _player(name, valid, rated, controlled, truth) for name in players},
        "grid": _grid([] if lone else between, players),
        "slope": _slope(valid, plain, anchor, resamples),
    }


def _player(
    name: str, valid: pd.DataFrame, rated: Ratings, controlled: Ratings | None, truth: TruthRatings
) -> dict[str, Any]:
    own = _own(valid, name)
    found: dict[str, Any] = {
        "elo": _triple(rated.interval, name),
        "accuracy": _mean(right(own), own["story_id"]),
        **scores(own),
        "right": _triple(truth.right, name),
        "wrong": _triple(truth.wrong, name),
        "truth_advantage": _triple(truth.truth_advantage, name),
    }
    if controlled is None:
        return found | {"approval": _mean(favours(own["p_mean"]), own["story_id"])}
    return found | {"elo_controlled": _triple(controlled.interval, name)}


def _mean(values: ArrayLike, stories: ArrayLike) -> Triple:
    found = cluster_mean(values, stories)
    return [found.estimate, found.low, found.high]


def _triple(interval: Callable[[str], tuple[float, float, float]], name: str) -> Triple:
    """Return rating, low and high; None for an end that games do not set: a player that lost nothing has no upper
    one."""
    return [end if np.isfinite(end) else None for end in interval(name)]


def _own(valid: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a player's debates with itself, or all of a lone consultant's."""
    return valid[(valid["seat_a"] == name) & valid["seat_b"].isin((name, ""))]


def _debates(table: pd.DataFrame) -> list[Game]:
    covariates = pd.DataFrame(
        {
            "speaking in side A": 1.0,
            "more words": _squashed(table["words_a"] - table["words_b"]),
            "more verified quotes": _squashed(table["verified_a"] - table["verified_b"]),
        },
        index=table.index,
    )
    return [
        Game(a, b, won, story, values, first_is_right=correct == "A")
        for a, b, won, story, correct, values in zip(
            table["seat_a"],
            table["seat_b"],
            favours(table["p_mean"]).tolist(),
            table["story_id"],
            table["correct_seat"],
            covariates.to_dict("records"),
            strict=True,
        )
    ]


def _squashed(difference: pd.Series) -> pd.Series:
    """Return the tanh of the difference in standard deviations, as in length-controlled AlpacaEval (Dubois et al.
    2024)."""
    spread = float(difference.std(ddof=0))
    return np.tanh(difference / spread) if spread else difference * 0.0


def _approvals(table: pd.DataFrame) -> list[Game]:
    """Return the games of each consultant against the judge, on both answers to every question."""
    return [
        Game(name, JUDGE, score, story, first_is_right=correct == "A")
        for name, score, story, correct in zip(
            table["seat_a"], favours(table["p_mean"]).tolist(), table["story_id"], table["correct_seat"], strict=True
        )
    ]


def _without_covariates(game: Game) -> Game:
    return Game(game.first, game.second, game.score, game.cluster, first_is_right=game.first_is_right)


def _grid(games: Sequence[Game], players: Sequence[str]) -> dict[str, dict[str, Triple]]:
    """Return the win rate of the row's player against the column's, for those who met, with its story-clustered
    interval."""
    found: dict[str, dict[str, Triple]] = {name: {} for name in players}
    for one, two in combinations(players, 2):
        met = [game for game in games if {game.first, game.second} == {one, two}]
        if met:
            scores = [game.score if game.first == one else 1 - game.score for game in met]
            of = cluster_mean(scores, [game.cluster for game in met])
            found[one][two] = [of.estimate, of.low, of.high]
            found[two][one] = [1 - of.estimate, 1 - of.high, 1 - of.low]
    return found


def _slope(valid: pd.DataFrame, games: Sequence[Game], anchor: str, resamples: int) -> dict[str, Any] | None:
    """Return the points of accuracy per 100 Elo over the players; None with fewer than three, or if all are rated
    alike."""
    own = valid[(valid["seat_b"] == "") | (valid["seat_a"] == valid["seat_b"])]
    judged = list(zip(own["seat_a"], own["story_id"], right(own).tolist(), strict=True))
    shared = {story for _, story, _ in judged} & {game.cluster for game in games}
    try:
        found = accuracy_slope(
            [g for g in games if g.cluster in shared],
            [j for j in judged if j[1] in shared],
            anchor,
            resamples=resamples,
        )
    except RatingError:
        return None
    return {"points_per_100_elo": found.points_per_100_elo, "low": found.low, "high": found.high}
