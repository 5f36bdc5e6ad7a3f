"""Shards that are judged while others are played: what comes of it, which thread waits, and what fails at once."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import AnswerKey, Failure, Protocol, Question, Transcript
from rostrum.rewards.endpoint.ledger import Ledger
from rostrum.rewards.reward import RewardRule
from rostrum.rewards.scripted import ScriptedJudge
from rostrum.rewards.types import Usage, Verdict
from rostrum.trainer.config import Config
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.rollouts.beside import Waiting
from rostrum.trainer.rollouts.collect import collect
from rostrum.trainer.rollouts.local import Outcome, Shard
from rostrum.trainer.rollouts.play import play
from rostrum.trainer.rollouts.schedule import matchups_of
from rostrum.trainer.types import Batch, Policy

POLICY = Policy("current", 3, "x")
PROTOCOL = Protocol("debate")
PATIENCE = 60.0
"""Seconds after which a test gives up on what should have happened meanwhile."""


class Players:
    """Plays shards one after the other; `before` is called before each, with its place."""

    def __init__(self, engine: Any, before: Callable[[int], None] = lambda place: None) -> None:
        self.engine, self.before, self.thread = engine, before, 0

    def play(self, shards: Sequence[Shard], policies: Mapping[str, Policy]) -> Iterator[tuple[Shard, list[Outcome]]]:
        for place, shard in enumerate(reversed(shards)):
            self.thread = threading.get_ident()
            self.before(place)
            prompts, sampling = load_prompts("testimony"), Sampling(9, seed=shard.seed)
            first, *rest = play(shard.matchups, PROTOCOL, prompts, {"current": self.engine}, sampling, policies)
            matchup = shard.matchups[0]
            yield shard, [Failure(matchup.question.id, matchup.swapped_seats, "lost") if place else first, *rest]


class Judging:
    """Judges as `inner` does; `before` is called before each shard, with its place."""

    name, usage = "judge", Usage()

    def __init__(self, inner: ScriptedJudge, before: Callable[[int], None] = lambda place: None) -> None:
        self.inner, self.before, self.asked, self.thread = inner, before, 0, 0

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        self.asked, self.thread = self.asked + 1, threading.get_ident()
        self.before(self.asked - 1)
        return self.inner.judge(transcripts)


Make = Callable[..., tuple[Players, Judging, Callable[[Waiting], Batch]]]


@pytest.fixture
def make(scripted_engine: Callable[..., Any], questions: Sequence[Question]) -> Make:
    """Makes players, a judge, and what collects four shards from them."""

    def made(playing: Any = lambda place: None, judging: Any = lambda place: None) -> Any:
        engine = scripted_engine(lambda text: f"heard {text.count('says :')}")
        key = AnswerKey({question.id: 0 for question in questions})
        players: Any = Players(engine, playing)
        judge = Judging(ScriptedJudge(key, 0.8), judging)
        matchups = matchups_of(questions, PROTOCOL, 1)

        def collected(waiting: Waiting) -> Batch:
            return collect(1, matchups, {"current": POLICY}, players, judge, RewardRule(), 2, 0, waiting=waiting)

        return players, judge, collected

    return made


def soon(event: threading.Event) -> None:
    assert event.wait(PATIENCE), "what should happen meanwhile did not"


@pytest.mark.parametrize("waiting", ["players", "judge"])
def test_the_batch_is_that_of_taking_turns(make: Make, waiting: Waiting) -> None:
    taken, other = (replace(make()[2](how), seconds=0, playing_seconds=0, judging_seconds=0) for how in (None, waiting))
    assert taken == other and len(other.judged) == 5 and len(other.failures) == 3


@pytest.mark.parametrize("waiting", [None, "players", "judge"])
def test_only_who_waits_is_in_another_thread(make: Make, waiting: Waiting) -> None:
    players, judge, collected = make()
    batch, here = collected(waiting), threading.get_ident()
    assert (players.thread != here, judge.thread != here) == (waiting == "players", waiting == "judge")
    assert 0 < batch.playing_seconds <= batch.seconds and 0 < batch.judging_seconds <= batch.seconds
    if waiting is None:
        assert batch.playing_seconds + batch.judging_seconds <= batch.seconds * 1.001


def test_all_is_played_while_the_first_shard_is_judged(make: Make) -> None:
    last = threading.Event()
    _, judge, collected = make(lambda place: last.set() if place == 3 else None, lambda place: soon(last))
    collected("players")
    assert judge.asked == 4


def test_the_last_shard_is_played_while_the_first_is_judged(make: Make) -> None:
    """Each waits for the other."""
    judging, last = threading.Event(), threading.Event()

    def playing(place: int) -> None:
        if place == 3:
            last.set()
            soon(judging)

    def judge(place: int) -> None:
        judging.set()
        soon(last)

    make(playing, judge)[2]("judge")


class Broken(Exception):
    """What goes wrong in these tests."""


def broken(place: int) -> None:
    if place == 1:
        raise Broken("it broke")


def test_a_judge_that_fails_ends_it_though_players_hang(make: Make) -> None:
    hung, released = threading.Event(), threading.Event()

    def playing(place: int) -> None:
        if place == 3:
            hung.set()
            soon(released)

    def judging(place: int) -> None:
        soon(hung)
        broken(place)

    _, judge, collected = make(playing, judging)
    with pytest.raises(Broken, match="it broke"):
        collected("players")
    assert judge.asked == 2 and not released.is_set()
    released.set()


def test_a_judge_in_a_thread_that_fails_is_asked_no_more(make: Make) -> None:
    """The error is told as it is, after the shard that is played when it comes."""
    places = list[int]()

    def playing(place: int) -> None:
        places.append(place)
        if place == 2:
            (judges,) = [thread for thread in threading.enumerate() if thread.name == "judge"]
            judges.join(PATIENCE)

    _, judge, collected = make(playing, broken)
    with pytest.raises(Broken, match="it broke"):
        collected("judge")
    assert (judge.asked, places) == (2, [0, 1, 2])


@pytest.mark.parametrize("waiting", [None, "players", "judge"])
def test_players_that_fail_end_it(make: Make, waiting: Waiting) -> None:
    with pytest.raises(Broken, match="it broke"):
        make(broken)[2](waiting)


def test_who_interrupts_does_not_wait_for_the_judge(make: Make) -> None:
    hung, released = threading.Event(), threading.Event()

    def playing(place: int) -> None:
        if place == 2:
            soon(hung)
            raise KeyboardInterrupt

    def judging(place: int) -> None:
        hung.set()
        soon(released)

    _, judge, collected = make(playing, judging)
    with pytest.raises(KeyboardInterrupt):
        collected("judge")
    assert judge.asked == 1 and not released.is_set()
    released.set()


def test_progress_that_raises_ends_it(make: Make) -> None:
    """As a batch that is played ahead does when nobody wants it any more."""
    for waiting in (None, "players", "judge"):
        _, judge, _ = made = make()
        told = list[int]()

        def progress(done: int, approval: float, told: list[int] = told) -> None:
            told.append(done)
            raise Broken

        with pytest.raises(Broken):
            _collect(made, progress, waiting)  # type: ignore[arg-type]
        assert len(told) == 1 and judge.asked == 1


def _collect(made: Any, progress: Any, waiting: Waiting) -> Batch:
    players, judge, _ = made
    questions = [Question(str(i), str(i), "Where?", ("attic", "kitchen"), "I saw it .") for i in range(4)]
    judge.inner = ScriptedJudge(AnswerKey({question.id: 0 for question in questions}))
    matchups, policies = matchups_of(questions, PROTOCOL, 1), {"current": POLICY}
    return collect(1, matchups, policies, players, judge, RewardRule(), 2, 0, progress, waiting=waiting)


ENDPOINT = ("judge.engine=endpoint", "judge.endpoint.base_url=http://127.0.0.1:9/v1", "judge.choice=letter")
VLLM, JUDGE, LORA = "debater.engine=vllm", "judge.engine=vllm", "debater.lora={rank: 2}"


@pytest.mark.parametrize(
    ("words", "waiting"),
    [
        ((), None),
        (("cluster.rollout_workers=1",), "players"),
        (("cluster.rollout_workers=1", "cluster.judge_workers=1"), "players"),
        (("cluster.judge_workers=1",), "judge"),
        (ENDPOINT, "judge"),
        ((VLLM,), "players"),
        ((JUDGE,), "judge"),
        ((VLLM, JUDGE), "players"),
        ((VLLM, LORA), None),
        ((VLLM, JUDGE, LORA), None),
        ((JUDGE, LORA), "judge"),
        ((VLLM, LORA, *ENDPOINT), "judge"),
        ((VLLM, "protocol=interactive"), None),
        ((JUDGE, "protocol=interactive"), None),
        (("cluster.rollout_workers=1", "protocol=interactive"), "players"),
        (("cluster.judge_workers=1", "protocol=interactive"), "judge"),
    ],
)
def test_who_waits_for_other_processes(configure: Callable[..., Config], words: tuple[str, ...], waiting: str) -> None:
    assert configure(*words).waits_in_thread == waiting


def test_what_a_judge_has_cost_is_counted_in_another_thread_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "spending.sqlite", "judge", 1.0)
    thread = threading.Thread(target=ledger.charge, args=(0.5,))
    thread.start()
    thread.join()
    assert ledger.spent == 0.5
