"""How persuasive each player is: Bradley-Terry ratings from verdicts, with intervals that respect questions.

A game is two players who argue one question before a judge. P(i beats j) = σ(θ_i − θ_j + xβ) (Bradley & Terry 1952),
fitted by maximum weighted likelihood with a ridge ½λ‖θ‖² that keeps a player who won everything finite; a tie is half
a win. x are covariates of a game that should not count as persuasion: who spoke first, how much longer one side was.
Ratings are given on Elo's scale, 400·θ / ln 10, where the anchor (the base checkpoint) has 0.

Games say how far one player is above another at the most only if a chain of defeats leads from the first down to the
second's victories (Ford 1957): a player that lost nothing may be as good as one likes, and it is the ridge alone that
gives it a number. Its interval has no upper end, and the lower end is where it would be if it had won no more than
Wilson's interval of so many questions leaves likely.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rostrum.rewards.statistics import wilson

FloatArray = NDArray[np.float64]
ELO = 400 / math.log(10)
"""Elo points per nat: 400 points are odds of ten to one."""
RIDGE = 0.01
"""Weight of the ridge, in games: with hundreds of games it moves a rating by far less than its interval."""
STEPS = 50
"""Newton steps at most; five to eight are usual."""
CLOSE = 1e-9


class RatingError(ValueError):
    """Games that cannot be rated; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Game:
    """One debate seen by one judge."""

    first: str
    second: str
    score: float
    """Of the first player: 1 won, 0 lost, .5 a tie, or the judge's probability."""
    cluster: str
    """What is resampled whole: the question, or its story."""
    covariates: Mapping[str, float] = field(default_factory=dict)
    """Advantages of the first player over the second, 0 where there is none."""
    weight: float = 1.0
    first_is_right: bool | None = None
    """Whether the first player argued for the right answer; only `rate_by_truth` asks."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings of all players, in Elo points, with the resamples that intervals are made of."""

    players: tuple[str, ...]
    elo: FloatArray
    """(players,)"""
    resampled: FloatArray
    """(resamples, players)"""
    covariates: Mapping[str, float]
    """β of each covariate in Elo points per unit."""
    anchor: str
    limited: NDArray[np.bool_]
    """(1 + resamples, players, players): whether the games, and those of each resample, say how far the second player
    is above the first at the most."""
    least: FloatArray
    """(players, players): lower ends of the first's rating over the second's where that has no upper one, else NaN."""

    def interval(self, player: str, versus: str | None = None) -> tuple[float, float, float]:
        """Return a rating, or its difference to another player's, with the 95 % percentile interval.

        An end is infinite where the games set none: of a player that lost (or won) nothing, or whose few defeats are
        missing in more resamples than 2.5 %. The estimate is then the ridge's.
        """
        own, other = (self.players.index(name) for name in (player, versus or self.anchor))
        estimate, again = (of[..., own] - (of[..., other] if versus else 0) for of in (self.elo, self.resampled))
        above, below = self.limited[:, other, own], self.limited[:, own, other]
        ends = np.where(above[1:], np.where(below[1:], again, -np.inf), np.where(below[1:], np.inf, np.nan))
        zero = 0.0 if versus else float(self.elo[other])
        if not above[0]:
            return float(estimate), zero + float(self.least[own, other]), np.inf
        if not below[0]:
            return float(estimate), -np.inf, zero - float(self.least[other, own])
        return _interval(estimate, ends[~np.isnan(ends)])

    def open_ended(self, players: Sequence[str]) -> list[str]:
        """Return the players that won or lost everything, so that their rating has no upper or no lower end."""
        zero = self.players.index(self.anchor)
        limited = self.limited[0, zero] & self.limited[0, :, zero]
        return [name for name in players if not limited[self.players.index(name)]]


def rate(games: Sequence[Game], anchor: str, *, ridge: float = RIDGE, resamples: int = 1000, seed: int = 0) -> Ratings:
    """Return the ratings of everybody who played.

    Raises:
        RatingError: the anchor did not play, a score is not in [0, 1], or not everybody is connected by games.
    """
    players = sorted({name for game in games for name in (game.first, game.second)})
    _check(games, players, anchor)
    names = sorted({name for game in games for name in game.covariates})
    table = _Table(games, players, names)
    penalty = np.array([ridge] * len(players) + [ridge] * len(names))
    fitted = _fit(table.design, *table.totals(table.once()), penalty)
    drawn = table.draws(resamples, seed)
    parts = [_fit(table.design, *table.totals(part), penalty, fitted) for part in _parts(drawn)]
    resampled = np.concatenate(parts)
    zero = players.index(anchor)
    elo, again = (ELO * (theta[:, : len(players)] - theta[:, [zero]]) for theta in (fitted, resampled))
    betas = dict(zip(names, (ELO * fitted[0, len(players) :]).tolist(), strict=True))
    limits = np.concatenate([table.limited(len(players), part) for part in (table.once(), *_parts(drawn))])
    least = _least(table, limits[0], penalty, fitted)
    return Ratings(tuple(players), elo[0], again, betas, anchor, limits, least)


@dataclass(frozen=True, slots=True)
class TruthRatings:
    """Two ratings of each player, for arguing the right and the wrong answer (Khan et al. 2024, figure 3)."""

    sides: Ratings
    """Of players named by `side`; 0 is the mean of the anchor's two."""

    def right(self, player: str) -> tuple[float, float, float]:
        """Return the rating for arguing the right answer, with its 95 % interval."""
        return self.sides.interval(side(player, True))

    def wrong(self, player: str) -> tuple[float, float, float]:
        """Return the rating for arguing the wrong answer, with its 95 % interval."""
        return self.sides.interval(side(player, False))

    def truth_advantage(self, player: str) -> tuple[float, float, float]:
        """Return by how much the player is more persuasive with the truth on its side."""
        return self.sides.interval(side(player, True), versus=side(player, False))


def side(player: str, right: bool) -> str:
    """Return the name under which one half of a player is rated."""
    return f"{player}, arguing {'right' if right else 'wrong'}"


def rate_by_truth(
    games: Sequence[Game], anchor: str, *, whole: str = "", ridge: float = RIDGE, resamples: int = 1000, seed: int = 0
) -> TruthRatings:
    """Rate every player split in two, one for each side of the truth. Games of a player with itself count.

    `whole` is a second player who argues for nothing and is not split.

    Raises:
        RatingError: a game does not say who was right, or as `rate` does.
    """
    if any(game.first_is_right is None for game in games):
        raise RatingError("A game does not say which player argued for the right answer: give first_is_right.")
    halves = [
        replace(
            g,
            first=side(g.first, bool(g.first_is_right)),
            second=whole if g.second == whole else side(g.second, not g.first_is_right),
        )
        for g in games
    ]
    rated = rate(halves, side(anchor, True), ridge=ridge, resamples=resamples, seed=seed)
    other = rated.players.index(side(anchor, False))
    middles = rated.elo[other] / 2, rated.resampled[:, [other]] / 2
    return TruthRatings(replace(rated, elo=rated.elo - middles[0], resampled=rated.resampled - middles[1]))


@dataclass(frozen=True, slots=True)
class Slope:
    """How judge accuracy goes with persuasiveness, over checkpoints."""

    points_per_100_elo: float
    low: float
    high: float
    """95 % percentile interval; ratings and accuracies are resampled together."""
    elo: Mapping[str, float]
    accuracy: Mapping[str, float]
    """Share judged right, by player."""


def accuracy_slope(
    games: Sequence[Game],
    judged: Sequence[tuple[str, str, float]],
    anchor: str,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Slope:
    """Return the line through (rating, judge accuracy) of every player, by least squares.

    `judged` are (player, cluster, 1 if the judge was right, 0 if not, .5 for a tie) of the debates whose accuracy is
    asked about, such as each checkpoint's debates with itself.

    Raises:
        RatingError: fewer than three players have both, games and debates are not about the same clusters, or all are
            rated alike.
    """
    clusters = sorted({game.cluster for game in games})
    players = sorted({player for player, _, _ in judged} & {n for g in games for n in (g.first, g.second)})
    if len(players) < 3:
        raise RatingError("A slope needs at least three rated checkpoints with judged debates: add checkpoints.")
    if {cluster for _, cluster, _ in judged} != set(clusters):
        raise RatingError("Games and judged debates must be about the same questions: evaluate them on one set.")
    rated = rate(games, anchor, resamples=resamples, seed=seed)
    columns = [rated.players.index(player) for player in players]
    right, number = (np.zeros((len(clusters), len(players))) for _ in range(2))
    for player, cluster, value in judged:
        if player in players:
            place = clusters.index(cluster), players.index(player)
            right[place] += value
            number[place] += 1
    if rated.open_ended(players):
        raise RatingError("A checkpoint won or lost every game, so its rating has no end: nothing can go with it.")
    drawn = _draws(len(clusters), resamples, seed)
    accuracy = right.sum(0) / number.sum(0)
    found = _line(rated.elo[None, columns], accuracy[None])
    if np.isnan(found[0]):
        raise RatingError("All checkpoints are rated alike, so nothing can go with their ratings: add others.")
    again = _line(rated.resampled[:, columns], (drawn @ right) / (drawn @ number))
    low, high = np.nanquantile(again, [0.025, 0.975])
    elo = dict(zip(players, rated.elo[columns].tolist(), strict=True))
    return Slope(float(found[0]), float(low), float(high), elo, dict(zip(players, accuracy.tolist(), strict=True)))


def _line(elo: FloatArray, accuracy: FloatArray) -> FloatArray:
    """Return the least-squares slopes of each line of (draws, players), in points of accuracy per 100 Elo."""
    x = elo - elo.mean(1, keepdims=True)
    spread = (x**2).sum(1)
    slopes = np.full(len(x), np.nan)  # a resample in which all are rated alike has no slope
    np.divide(1e4 * (x * accuracy).sum(1), spread, out=slopes, where=spread > CLOSE)
    return slopes


def expected_score(elo: float, other: float) -> float:
    """Return P(a player of the first rating beats one of the second)."""
    return 1 / (1 + 10 ** ((other - elo) / 400))


class _Table:
    """Games as sums over equal rows of the design, cluster by cluster: resampling clusters is then one product."""

    def __init__(self, games: Sequence[Game], players: Sequence[str], names: Sequence[str]) -> None:
        rows = np.zeros((len(games), len(players) + len(names)))
        index = {name: i for i, name in enumerate(players)}
        for row, game in zip(rows, games, strict=True):
            row[index[game.first]] += 1
            row[index[game.second]] -= 1
            row[len(players) :] = [game.covariates.get(name, 0.0) for name in names]
        self.design, row_of = np.unique(rows, axis=0, return_inverse=True)
        _, cluster_of = np.unique([game.cluster for game in games], return_inverse=True)
        weights = np.array([game.weight for game in games])
        shape = (cluster_of.max() + 1, len(self.design))
        self._weight, self._won = np.zeros(shape), np.zeros(shape)
        np.add.at(self._weight, (cluster_of, row_of.reshape(-1)), weights)
        np.add.at(self._won, (cluster_of, row_of.reshape(-1)), weights * np.array([game.score for game in games]))

    def once(self) -> FloatArray:
        """Return every cluster as it is, (1, clusters)."""
        return np.ones((1, len(self._weight)))

    def draws(self, resamples: int, seed: int) -> FloatArray:
        """Return how often each cluster is drawn in each resample, (resamples, clusters), clusters sorted by label."""
        return _draws(len(self._weight), resamples, seed)

    def limited(self, players: int, drawn: FloatArray) -> NDArray[np.bool_]:
        """Return whether a chain of victories leads from a player down to another, (draws, players, players)."""
        weight, won = self.totals(drawn)
        chain = np.repeat(np.eye(players, dtype=bool)[None], len(drawn), axis=0)
        for row, (one, other) in enumerate(self.pairs(players)):
            chain[:, one, other] |= won[:, row] > CLOSE
            chain[:, other, one] |= weight[:, row] - won[:, row] > CLOSE
        for middle in range(players):
            chain |= chain[:, :, [middle]] & chain[:, [middle], :]
        return chain

    def pairs(self, players: int) -> list[tuple[int, int]]:
        """Return the first and the second player of each row of the design."""
        sides = self.design[:, :players]
        return list(zip(sides.argmax(axis=1).tolist(), sides.argmin(axis=1).tolist(), strict=True))

    def clusters(self, rows: NDArray[np.bool_]) -> int:
        """Return in how many clusters any of these rows was played."""
        return int((self._weight[:, rows] > 0).any(axis=1).sum())

    def totals(self, drawn: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return games and wins per row of the design, both (draws, rows)."""
        return drawn @ self._weight, drawn @ self._won


def _fit(
    design: FloatArray, weight: FloatArray, won: FloatArray, penalty: FloatArray, start: FloatArray | float = 0.0
) -> FloatArray:
    """Fit a penalised logistic regression by Newton's method, one for each line of `weight` and `won`: (draws,
    columns).

    `start` is where it begins: the fit to the whole data is close to those of its resamples.
    """
    columns = design.shape[1]
    theta = np.zeros((len(weight), columns)) + start
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), columns**2)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-theta @ design.T))
        gradient = (won - weight * p) @ design - theta * penalty
        curvature = ((weight * p * (1 - p)) @ squares).reshape(-1, columns, columns) + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        theta = theta + np.clip(step, -2, 2)  # far from the solution a whole step may overshoot
        if np.abs(step).max() < CLOSE:
            break
    return theta


def _least(table: _Table, limited: NDArray[np.bool_], penalty: FloatArray, start: FloatArray) -> FloatArray:
    """Return the lower ends of ratings that have no upper one (`Ratings.least`), in Elo points.

    Where nothing leads from j to i, all whom j does not reach won every game against all others. They are fitted once
    more with the share that is the lower end of Wilson's interval of K out of K clusters: K / (K + z^2).
    """
    players = len(limited)
    least = np.full((players, players), np.nan)
    weight, won = table.totals(table.once())
    pairs = np.array(table.pairs(players))
    for j in range(players):
        best = ~limited[j]
        if not best.any():
            continue
        first, second = best[pairs[:, 0]] & ~best[pairs[:, 1]], ~best[pairs[:, 0]] & best[pairs[:, 1]]
        share = wilson(1.0 * (k := table.clusters(first | second)), k).low
        fewer = np.where(first, share * weight, np.where(second, (1 - share) * weight, won))
        again = _fit(table.design, weight, fewer, penalty, start)[0, :players]
        least[best, j] = ELO * (again[best] - again[j])
    return least


@lru_cache(maxsize=2)
def _draws(clusters: int, resamples: int, seed: int) -> FloatArray:
    """Return how often each cluster is drawn, (resamples, clusters). Kept, for standings ask for the same again and
    again."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def _parts(drawn: FloatArray, size: int = 250) -> list[FloatArray]:
    """Return a few hundred resamples at a time, so that memory does not grow with their number."""
    return [drawn[start : start + size] for start in range(0, len(drawn), size)]


def _interval(estimate: FloatArray, resampled: FloatArray) -> tuple[float, float, float]:
    if not len(resampled):
        return float(estimate), np.nan, np.nan
    # Between a number and infinity there is nothing to interpolate.
    method: Literal["linear", "inverted_cdf"] = "linear" if np.isfinite(resampled).all() else "inverted_cdf"
    low, high = np.quantile(resampled, [0.025, 0.975], method=method)
    return float(estimate), float(low), float(high)


def _check(games: Sequence[Game], players: Sequence[str], anchor: str) -> None:
    if anchor not in players:
        raise RatingError(f"{anchor} played no game, so nothing can be measured from it: choose another anchor.")
    if any(not 0 <= game.score <= 1 for game in games):
        raise RatingError("A game's score lies outside [0, 1]: leave INVALID verdicts out before rating.")
    met = {(g.first, g.second) for g in games} | {(g.second, g.first) for g in games}
    reached, edge = {anchor}, {anchor}
    while edge:
        edge = {b for a, b in met if a in edge} - reached
        reached |= edge
    if missing := sorted(set(players) - reached):
        raise RatingError(f"{missing[0]} is connected with {anchor} by no chain of games: let them meet.")
