"""What passes between rollouts, credit and learner."""

from collections.abc import Mapping
from dataclasses import dataclass

from rostrum.envs.types import TRAINED, Failure, Question, Side, Transcript
from rostrum.rewards.types import Reward, Verdict

BASE = "base"
"""The name of the checkpoint before training, and of the matchup against it."""
CHECKPOINT = "checkpoint"
"""The name of the policy, in a transcript, that is evaluated."""
SPENT: dict[str, str] = {
    "sampled_texts": "texts sampled for own speeches: candidates, drafts, critiques and the speeches themselves",
    "sampled_tokens": "tokens in them",
    "preference_readings": "how often a judge's model read to choose among them",
}
"""What speeches have cost, as transcripts and tables of verdicts count it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Published debater weights: a folder on disk and the version that is stamped on every speech."""

    name: str
    version: int
    path: str


@dataclass(frozen=True, slots=True)
class Matchup:
    """One debate to be played: a question, which side has which answer, and the policy of each speaker.

    With `branches` > 1 the debate is played once up to `branch_turn` and then continued that many times, so that the
    siblings share everything said before and differ from that turn on.
    """

    id: str
    question: Question
    swapped_seats: bool
    policies: Mapping[str, str]
    branches: int = 1
    branch_turn: int = 0


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A speaker's tokens in one debate, or for one of its speeches, exactly as its policy saw and sampled them.

    `prompt` is the context of the row's first speech; `completion` everything after it. `mask` (as long as
    `completion`) is 1 where the speaker's policy sampled the token, 0 where it was told something; `logprobs` are the
    sampling log-probabilities (0 where masked). `ends` are the positions in `completion` of the last token of each of
    the row's speeches.
    """

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    mask: tuple[int, ...]
    logprobs: tuple[float, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A debate as played: the transcript and each speaker's tokens, in one row or in one per speech. `matchup` is the
    id of its `Matchup`, and `branch_turn` where that branches."""

    matchup: str
    branch: int
    transcript: Transcript
    rows: Mapping[str, tuple[TokenRow, ...]]
    branch_turn: int = 0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A row of one speaker of a judged debate, ready to learn from.

    `reward` is what the row's speeches earned. What the speaker earned later, in other rows, is in the approval: it is
    the return of the row's last speech that counts.
    """

    question_id: str
    swapped_seats: bool
    speaker: str
    side: Side
    """The side that it was given: one that chooses its side is compared with itself, whatever it chose."""
    turns: tuple[int, ...]
    """The turn of each of the row's speeches."""
    row: TokenRow
    reward: Reward
    policy_version: int
    last: bool = True
    """Whether the speaker speaks no more in this debate: else its next speech is in the next row."""
    matchup: str = ""
    """The id of its `Matchup`, which siblings share."""
    branch_turn: int = 0
    """The turn at which the siblings part."""

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
    """A rollout with the verdict on it and what each speaker earned (None: nobody learns from it, see
    `rewards.reward.rewards`)."""

    rollout: Rollout
    verdict: Verdict
    rewards: Mapping[str, Reward] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one iteration collected. Every matchup is in it: judged, or as a failure with its reason."""

    iteration: int
    policies: Mapping[str, Policy]
    """Those that learn from it, by name."""
    judged: tuple[Judged, ...]
    failures: tuple[Failure, ...]
    seconds: float
    """Playing and judging, not learning."""
    playing_seconds: float = 0.0
    """Those of them in which debates were played; with those of judging they are more than all where shards are judged
    while others are played."""
    judging_seconds: float = 0.0
    """Those of them in which the judge was at work, or was waited for."""
    prompt_tokens: int = 0
    """Tokens of all prompts of debaters whose engine keeps what it reads; 0 where none does."""
    cache_hit_tokens: int = 0
    """Those of them that did not have to be read: an earlier prompt, or another one of the same batch, began so."""

    def trajectories(self, policy: str = TRAINED) -> list[Trajectory]:
        """Return the rows of the speakers that `policy` played and that earned something."""
        return [
            trajectory
            for judged in self.judged
            for speaker in speakers_of(judged, policy)
            for trajectory in trajectories_of(judged, speaker)
        ]

    @property
    def spoiled(self) -> int:
        """How many debates have an INVALID verdict that cost speakers something. They are not zero-sum."""
        return sum(judged.rewards is not None and not judged.verdict.valid for judged in self.judged)


def speakers_of(judged: Judged, policy: str) -> list[str]:
    """Return the speakers for whom the policy has spoken and that earned something; none if the verdict could not be
    had."""
    spoke = {speech.speaker for speech in judged.rollout.transcript.speeches if speech.policy == policy}
    return [speaker for speaker in judged.rewards or {} if speaker in spoke]


def sides_of(judged: Judged, policy: str) -> set[Side]:
    """Return the sides of these speakers."""
    return {judged.rollout.transcript.protocol.speakers[name].side for name in speakers_of(judged, policy)}


def trajectories_of(judged: Judged, speaker: str) -> list[Trajectory]:
    """Return the rows of one speaker that earned something."""
    assert judged.rewards is not None
    transcript, reward = judged.rollout.transcript, judged.rewards[speaker]
    own = [speech for speech in transcript.speeches if speech.speaker == speaker]
    made, first = [], 0
    for row in judged.rollout.rows[speaker]:
        last = first + len(row.ends)
        earned = Reward(reward.approval + sum(reward.shaping[last:]), reward.shaping[first:last])
        made.append(
            Trajectory(
                transcript.question.id,
                transcript.swapped_seats,
                speaker,
                _given_side(transcript, speaker),
                tuple(s.turn for s in own[first:last]),
                row,
                earned,
                own[0].policy_version,
                last == len(own),
                judged.rollout.matchup,
                judged.rollout.branch_turn,
            )
        )
        first = last
    return made


def _given_side(transcript: Transcript, name: str) -> Side:
    """Return the side that a speaker was given. A baseline must not depend on what the speaker itself has chosen."""
    speaker = transcript.protocol.speakers[name]
    changed = speaker.chooses_side and transcript.provenance.get("choice") == "changed"
    return speaker.side.other if changed else speaker.side
