"""Arms side by side with scripted debaters and planted judges: what is shared, what is shown, what is kept."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Failure, Side, Speech, Transcript
from rostrum.launch.commands.compare import _arms
from rostrum.launch.compose import load
from rostrum.rewards.judges.per_side import PerSide
from rostrum.rewards.types import Usage, Verdict
from rostrum.trainer.config import Config
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.evaluation.comparisons.comparison import Comparison, Player, plays_like, shown
from rostrum.trainer.evaluation.verdict_table import NONE, right
from rostrum.trainer.rollouts.local import Outcome, Shard
from rostrum.trainer.rollouts.play import play
from rostrum.trainer.types import Policy

QUESTIONS = 6


class Words:
    """P(A) from how often each defended answer is named, whoever names it."""

    name = "words"

    def __init__(self) -> None:
        self.usage, self.read = Usage(), list[Transcript]()

    def of_a(self, transcript: Transcript) -> float:
        said = " ".join(speech.text for speech in transcript.speeches).split()
        return _sigmoid(said.count(transcript.answers[0]) - said.count(transcript.answers[1]))

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        self.read += transcripts
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        return Verdict(self.name, self.of_a(transcript), 1 - self.of_a(transcript.swapped()), readings=2)


class Seats(Words):
    """P(A) from which side says more."""

    name = "sides"

    def of_a(self, transcript: Transcript) -> float:
        return _sigmoid(sum(_side(speech) * len(speech.text.split()) for speech in transcript.speeches))


class LastSpeaker(Words):
    """Whoever speaks last is right."""

    name = "last-speaker"

    def of_a(self, transcript: Transcript) -> float:
        return _sigmoid(_side(transcript.speeches[-1])) if transcript.speeches else 0.5


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _side(speech: Speech) -> int:
    return 1 if speech.side is Side.A else -1


class Rollouts:
    """Plays with a scripted engine, which is told what it may argue with: the right answer gets two words, a wrong one
    one. Debates about the question `fails` are failures."""

    played = 0

    def __init__(self, settings: Config, engine: Any, fails: str = "") -> None:
        self.settings, self.engine, self.fails = settings, engine, fails

    def play(self, shards: Sequence[Shard], policies: Mapping[str, Policy]) -> Iterator[tuple[Shard, list[Outcome]]]:
        for shard in shards:
            Rollouts.played += len(shard.matchups)
            engines, sampling = dict.fromkeys(policies, self.engine), Sampling(8, 1.0, shard.seed)
            outcomes = play(
                shard.matchups, self.settings.protocol, load_prompts("testimony"), engines, sampling, policies
            )
            yield shard, [self._or_failure(outcome) for outcome in outcomes]

    def _or_failure(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Failure) or outcome.transcript.question.id != self.fails:
            return outcome
        return Failure(self.fails, outcome.transcript.swapped_seats, "planted")

    def close(self) -> None:
        """There is nothing to let go of."""


@pytest.fixture(scope="module")
def default() -> tuple[Config, dict[str, Config]]:
    """The default comparison on a few questions, and its arms."""
    config = load([f"questions.heldout={QUESTIONS}", "comparison=default"])
    held_out = config.heldout_judges[0]
    others = [held_out, held_out.model_copy(update={"name": "another"})]
    three = config.model_copy(update={"heldout_judges": others})
    return three, _arms(three, None)


@pytest.fixture
def stage(
    monkeypatch: pytest.MonkeyPatch,
    scripted_engine: Callable[..., Any],
    tmp_path: Path,
    default: tuple[Config, dict[str, Config]],
) -> Callable[..., tuple[pd.DataFrame, list[Words]]]:
    """Compares arms of the default comparison by scripted judges; debaters know which answer is right."""
    config, arms = default
    source = config.questions.load()
    key = source.answer_key("heldout")
    correct = {q.passage: q.answers[key[q.id]] for q in source.questions("heldout")}

    def script(context: str) -> str:
        own = context.partition(" argue ")[2].split(" says :")[0].split()[2]
        answer = next(right for passage, right in correct.items() if passage in context)
        return f"{own} {own}" if own == answer else own

    def run(names: str, fails: int | None = None) -> tuple[pd.DataFrame, list[Words]]:
        judges = [Words(), Seats(), LastSpeaker()]
        waiting = iter(judges)
        failing = "" if fails is None else source.questions("heldout")[fails].id
        monkeypatch.setattr("rostrum.trainer.setup.judge", lambda *_: PerSide(next(waiting)))
        monkeypatch.setattr(
            "rostrum.trainer.setup.rollout_workers", lambda c: Rollouts(c, scripted_engine(script), failing)
        )
        chosen = {name: arms[name] for name in names.split(",")}
        play = Comparison(config, chosen, [Player(0, "nowhere")], tmp_path / "comparison")
        return play.verdicts(), judges

    return run


def accuracy(table: pd.DataFrame, arm: str, judge: str) -> float:
    return float(right(table[(table["arm"] == arm) & (table["judge"] == judge)]).mean())


def test_exchanging_speakers_tells_a_judge_of_words_from_one_of_seats(stage: Callable[..., Any]) -> None:
    table, _ = stage("debate,double_consultancy,exchanged_speakers,shuffled_speakers")
    for arm in ("debate", "double_consultancy"):
        assert accuracy(table, arm, "words") == accuracy(table, arm, "sides") == 1
    assert accuracy(table, "exchanged_speakers", "words") == accuracy(table, "shuffled_speakers", "words") == 1
    assert accuracy(table, "exchanged_speakers", "sides") == 0
    assert 0.2 < accuracy(table, "shuffled_speakers", "sides") < 0.8


def test_a_judge_of_the_last_speaker_is_right_in_one_seating_of_two(stage: Callable[..., Any]) -> None:
    table, _ = stage("debate,exchanged_speakers")
    for arm in ("debate", "exchanged_speakers"):
        own = table[(table["arm"] == arm) & (table["judge"] == "last-speaker")]
        assert (own["p_mean"] > 0.5).all() == (arm == "exchanged_speakers")
        assert accuracy(own, arm, "last-speaker") == 0.5


def test_an_ensembled_verdict_is_the_mean_of_two_readings(stage: Callable[..., Any]) -> None:
    table, (words, *_) = stage("double_consultancy,ensembled_consultancy")
    apart = table[(table["arm"] == "ensembled_consultancy") & (table["judge"] == "words")]
    for row in apart.itertuples():
        two, one = (_sigmoid(4), _sigmoid(-2)) if row.correct_seat == "A" else (_sigmoid(2), _sigmoid(-4))
        assert (row.p_given, row.p_swapped) == pytest.approx(((two + one) / 2, (two + one) / 2))
    read = [transcript for transcript in words.read if transcript.protocol.name == "ensembled-consultancy"]
    assert len(read) == 4 * QUESTIONS and all(len({s.side for s in t.speeches}) == 1 for t in read)
    assert set(apart["readings"]) == {4} and set(apart["speeches"]) == {4}
    assert set(table.loc[table["arm"] == "double_consultancy", "readings"]) == {2}


def test_arms_that_differ_in_what_is_shown_share_what_is_said(stage: Callable[..., Any], tmp_path: Path) -> None:
    Rollouts.played = 0
    table, _ = stage("debate,exchanged_speakers,shuffled_speakers,double_consultancy,ensembled_consultancy,consultancy")
    assert Rollouts.played == 3 * 2 * QUESTIONS
    assert len(list((tmp_path / "comparison/debates").iterdir())) == 3
    said = table[table["matchup"] != NONE].groupby("arm")[["words", "sampled_tokens"]].sum()
    assert said.loc["debate"].equals(said.loc["shuffled_speakers"])
    assert set(table.loc[table["arm"] == "consultancy", "checkpoint_seats"]) == {"A"}
    assert table.loc[table["matchup"] != NONE, "speeches"].eq(4).all()


def test_what_is_there_is_neither_played_nor_judged_again(stage: Callable[..., Any], tmp_path: Path) -> None:
    first, _ = stage("debate,exchanged_speakers")
    (tmp_path / "comparison/arms/exchanged_speakers/base.parquet").unlink()
    Rollouts.played = 0
    second, (words, *_) = stage("debate,exchanged_speakers")
    assert Rollouts.played == 0 and not words.read, "the verdicts were kept, though their table was lost"
    pd.testing.assert_frame_equal(first, second)


def test_debates_that_fail_are_invalid_in_every_arm_that_shares_them(stage: Callable[..., Any]) -> None:
    table, _ = stage("debate,exchanged_speakers", fails=2)
    failed = table[~table["valid"].astype(bool)]
    assert len(failed) == 2 * 2 * 3 and failed["reason"].str.contains("planted").all()
    assert failed["question_id"].nunique() == 1 and failed["readings"].isna().all()


def test_only_what_decides_what_is_said_tells_plays_apart(default: tuple[Config, dict[str, Config]]) -> None:
    _, arms = default
    same = {name: plays_like(arm) for name, arm in arms.items()}
    assert same["debate"] == same["exchanged_speakers"] == same["shuffled_speakers"]
    assert same["double_consultancy"] == same["ensembled_consultancy"]
    assert len(set(same.values())) == 3
    cooler = arms["debate"].debater.model_copy(update={"temperature": 0.5})
    assert plays_like(arms["debate"].model_copy(update={"debater": cooler})) != same["debate"]


@pytest.mark.parametrize(("choice", "speeches"), [("default", 4), ("khan", 6)])
def test_every_arm_has_as_many_speeches_for_a_verdict(choice: str, speeches: int) -> None:
    """And the controls and the ensemble are judged on what another arm has said."""
    arms = _arms(load(["questions.heldout=2", f"comparison={choice}"]), None)
    assert {arm.protocol.speeches for arm in arms.values()} == {speeches}
    assert len(arms) == 6 and len({plays_like(arm) for arm in arms.values()}) == 3


def test_shown_debates_keep_their_words_and_answers(stage: Callable[..., Any]) -> None:
    _, (words, *_) = stage("debate,exchanged_speakers,shuffled_speakers")
    by_seating: dict[Any, list[Transcript]] = {}
    for transcript in words.read:
        if transcript.speeches:
            by_seating.setdefault((transcript.question.id, transcript.swapped_seats), []).append(transcript)
    assert len(by_seating) == 2 * QUESTIONS
    for own, exchanged, shuffled in by_seating.values():
        assert own.answers == exchanged.answers == shuffled.answers
        for other in (exchanged, shuffled):
            assert [s.text for s in own.speeches] == [s.text for s in other.speeches]
        assert [s.side.other for s in own.speeches] == [s.side for s in exchanged.speeches]


def test_what_was_sampled_is_counted(stage: Callable[..., Any]) -> None:
    table, (words, *_) = stage("debate,exchanged_speakers")
    spoken = [transcript for transcript in words.read if transcript.speeches]
    tokens = sum(len(speech.token_ids) for transcript in spoken for speech in transcript.speeches)
    judged = table[(table["matchup"] != NONE) & (table["judge"] == table["judge"].iloc[0])]
    assert judged["sampled_tokens"].sum() == tokens > 0


def test_own_speakers_are_the_default(default: tuple[Config, dict[str, Config]]) -> None:
    _, arms = default
    debate = arms["debate"]
    question = debate.questions.load().questions("heldout")[0]
    silent = Transcript(question, debate.protocol, question.answers, False)
    assert shown(silent, debate) == silent and debate.comparison.speakers == "own"
