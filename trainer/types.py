"""What passes between rollouts, credit and learner."""

from collections.abc import Mapping
from dataclasses import dataclass

from envs.types import Failure, Question, Side, Transcript
from rewards.types import Reward, Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """Published debater weights: a folder on disk and the version that is stamped on every speech."""

    name: str
    version: int
    path: str


@dataclass(frozen=True, slots=True)
class Match:
    """One debate to be played: a question, who sits where, and which policy speaks from each seat.

    With `branches` > 1 the debate is played once up to `branch_ply` and then continued that many times, so that the
    siblings share everything said before and differ from that ply on.
    """

    id: str
    question: Question
    swapped_seats: bool
    policies: Mapping[Side, str]
    branches: int = 1
    branch_ply: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A seat's tokens in one debate, or for one of its speeches, exactly as its policy saw and sampled them.

    `prompt` is the context of the row's first speech; `completion` everything after it. `mask` (as long as
    `completion`) is 1 where the seat's policy sampled the token, 0 where it was told something; `logprobs` are the
    sampling log-probabilities (0 where masked). `ends` are the positions in `completion` of the last token of each of
    the row's speeches.
    """

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    mask: tuple[int, ...]
    logprobs: tuple[float, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Episode:
    """A debate as played: the transcript and each seat's tokens, in one row or in one per speech. `match` is the id of
    its `Match`, and `branch_ply` where that branches."""

    match: str
    branch: int
    transcript: Transcript
    rows: Mapping[Side, tuple[Row, ...]]
    branch_ply: int = 0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A row of one seat of a judged debate, ready to learn from.

    `reward` is what the row's speeches earned. What the seat earned later, in other rows, is in the approval: it is
    the return of the row's last speech that counts.
    """

    question_id: str
    swapped_seats: bool
    seat: Side
    plies: tuple[int, ...]
    """The ply of each of the row's speeches."""
    row: Row
    reward: Reward
    policy_version: int
    last: bool = True
    """Whether the seat speaks no more in this debate: else its next speech is in the next row."""
    match: str = ""
    """The id of its `Match`, which siblings share."""
    branch_ply: int = 0
    """The ply at which the siblings part."""

    @property
    def paid(self) -> tuple[float, ...]:
        """What was paid after each of the row's own speeches, and not later."""
        return self.reward.per_speech if self.last else self.reward.shaping

    @property
    def returns(self) -> tuple[float, ...]:
        """Undiscounted return from each of the row's speeches on, that speech's own reward included."""
        total, returns = 0.0, []
        for reward in reversed(self.reward.per_speech):
            total += reward
            returns.append(total)
        return tuple(reversed(returns))


@dataclass(frozen=True, slots=True)
class Judged:
    """An episode with the verdict on it and what each seat earned (None: nobody learns from it, see
    `rewards.reward.rewards`)."""

    episode: Episode
    verdict: Verdict
    rewards: Mapping[Side, Reward] | None


@dataclass(frozen=True, slots=True)
class Experience:
    """What one iteration collected. Every match is in it: judged, or as a failure with its reason."""

    iteration: int
    policy: Policy
    judged: tuple[Judged, ...]
    failures: tuple[Failure, ...]
    seconds: float
    """Playing and judging, not learning."""

    def trajectories(self, policy: str = "current") -> list[Trajectory]:
        """Return the rows of the seats that `policy` played and that earned something."""
        return [
            trajectory
            for judged in self.judged
            for seat in seats_of(judged, policy)
            for trajectory in trajectories_of(judged, seat)
        ]

    @property
    def spoiled(self) -> int:
        """How many debates have an INVALID verdict that cost speakers something. They are not zero-sum."""
        return sum(judged.rewards is not None and not judged.verdict.valid for judged in self.judged)


def seats_of(judged: Judged, policy: str) -> list[Side]:
    """Return the seats from which the policy has spoken and earned something; none if the verdict could not be had."""
    transcript = judged.episode.transcript
    spoke = {speech.seat for speech in transcript.speeches if speech.policy == policy}
    return [seat for seat in judged.rewards or {} if seat in spoke]


def trajectories_of(judged: Judged, seat: Side) -> list[Trajectory]:
    """Return the rows of one seat that earned something."""
    assert judged.rewards is not None
    transcript, reward = judged.episode.transcript, judged.rewards[seat]
    own = [speech for speech in transcript.speeches if speech.seat is seat]
    made, first = [], 0
    for row in judged.episode.rows[seat]:
        last = first + len(row.ends)
        earned = Reward(reward.approval + sum(reward.shaping[last:]), reward.shaping[first:last])
        made.append(
            Trajectory(
                transcript.question.id,
                transcript.swapped_seats,
                seat,
                tuple(s.ply for s in own[first:last]),
                row,
                earned,
                own[0].policy_version,
                last == len(own),
                judged.episode.match,
                judged.episode.branch_ply,
            )
        )
        first = last
    return made
