"""Protocols beyond two debaters are YAML and prompts: three debaters, cross-examination, a proposer and a critic."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.recasting import alone, exchanged
from rostrum.envs.types import AnswerKey, Protocol, Question, Side, Transcript, correct_side
from rostrum.launch import compose
from rostrum.launch.cli import main
from rostrum.launch.compose import ConfigError
from rostrum.rewards.reward import RewardRule, rewards
from rostrum.rewards.types import Verdict, pick
from rostrum.trainer.algorithms.advantages import group
from rostrum.trainer.store.run_folder import read_lines
from rostrum.trainer.types import Judged, Rollout, TokenRow, Trajectory, speakers_of, trajectories_of

NEW = ("three_debaters", "cross_examination", "proposer_critic")


def protocol(name: str) -> Protocol:
    return compose.load(["output=x", f"protocol={name}"]).protocol


def played(question: Question, of: Protocol, first: str = "", prompts: str = "testimony") -> Transcript:
    """A debate in which everybody says its own name, whoever speaks first after `first`."""
    debate = Debate(question, of, False, load_prompts(prompts))
    while not debate.finished:
        start = first if debate.turn == 0 else ""
        debate.hear({name: Utterance(f"{start}word{name}", policy="current") for name in debate.speakers})
    return debate.transcript()


def judged(transcript: Transcript, p: float) -> Judged:
    """A debate with a row for each speaker, and what the speakers earned."""
    rows = {}
    for name in transcript.protocol.speakers:
        own = [speech for speech in transcript.speeches if speech.speaker == name]
        count = len(own)
        rows[name] = (TokenRow((1,), (1,) * count, (1,) * count, (0.0,) * count, tuple(range(count))),)
    verdict = Verdict("judge", p, p)
    return Judged(Rollout("m", 0, transcript, rows), verdict, rewards(transcript, verdict, RewardRule()))


def rows_of(one: Judged) -> list[Trajectory]:
    return [row for name in speakers_of(one, "current") for row in trajectories_of(one, name)]


def test_a_side_of_two_is_told_apart_by_numbers_and_one_of_one_is_not(questions: Sequence[Question]) -> None:
    transcript = played(questions[0], protocol("three_debaters"))
    assert [transcript.label(speech) for speech in transcript.speeches] == ["A1", "B", "A2"] * 2
    shown = load_prompts("chat").judge(transcript)
    assert "Debater A2 said:\nwordsecond" in shown and "Debater B said:\nwordopponent" in shown
    assert "first said" not in shown and "A said" not in shown
    assert [transcript.swapped().label(s) for s in transcript.swapped().speeches] == ["B1", "A", "B2"] * 2
    assert [exchanged(transcript).label(s) for s in exchanged(transcript).speeches] == ["B", "A1", "B"] * 2
    assert {s.speaker for s in alone(transcript, Side.A).speeches} == {"first", "second"}


def test_a_side_shares_its_approval_and_the_sides_sum_to_zero(questions: Sequence[Question]) -> None:
    one = judged(played(questions[0], protocol("three_debaters")), 0.9)
    assert one.rewards is not None and set(one.rewards) == {"first", "opponent", "second"}
    assert one.rewards["first"].approval == one.rewards["second"].approval == -one.rewards["opponent"].approval > 0


def test_speakers_of_one_side_are_no_baseline_for_each_other(questions: Sequence[Question]) -> None:
    """Two debates that differ: each speech is compared with that of the same speaker in the other one."""
    rows = [row for p in (0.9, 0.6) for row in rows_of(judged(played(questions[0], protocol("three_debaters")), p))]
    found = dict(zip([(row.speaker, n // 3) for n, row in enumerate(rows)], group(rows), strict=True))
    for name in ("first", "second", "opponent"):
        assert found[name, 0] == pytest.approx([-value for value in found[name, 1]])
    assert found["first", 0][0] == pytest.approx(found["second", 0][0]) and found["first", 0][0] > 0


def test_examiners_ask_and_witnesses_answer_with_prompts_of_their_own(questions: Sequence[Question]) -> None:
    of = protocol("cross_examination")
    debate, told = Debate(questions[0], of, False, load_prompts("chat")), list[str]()
    while not debate.finished:
        (name,) = debate.speakers
        told.append(debate.told(name))
        debate.hear({name: Utterance(f"word{debate.turn}")})
    assert [speech.role for speech in debate.speeches[2:6]] == ["examiner", "witness"] * 2
    assert "Ask the other side one question" in told[2] and "Answer the question" in told[3]
    assert "word2" in told[3], "the witness has heard the question"
    assert [speech.speaker for speech in debate.speeches] == ["A", "B", "A", "B", "B", "A", "A", "B"]


@pytest.mark.parametrize(
    ("first", "choice", "side"), [("A: ", "kept", "A"), ("B : ", "changed", "B"), ("A good case: ", "unusable", "A")]
)
def test_a_proposer_is_on_the_side_that_it_names(
    first: str, choice: str, side: str, questions: Sequence[Question]
) -> None:
    transcript = played(questions[0], protocol("proposer_critic"), first)
    assert transcript.provenance["choice"] == choice
    assert {speech.side for speech in transcript.speeches if speech.speaker == "proposer"} == {Side(side)}
    assert {speech.side for speech in transcript.speeches if speech.speaker == "critic"} == {Side(side).other}
    assert transcript.answers == questions[0].answers, "what the letters stand for stays"
    one = judged(transcript, 0.9)
    assert one.rewards is not None and (one.rewards["proposer"].approval > 0) == (side == "A")
    assert {row.speaker: row.side for row in rows_of(one)}["proposer"] is Side.A, "compared whatever it chose"


def test_a_choice_stands_in_every_branch_of_a_debate(questions: Sequence[Question]) -> None:
    debate = Debate(questions[0], protocol("proposer_critic"), False, load_prompts("testimony"))
    debate.hear({"proposer": Utterance("B: the slope")})
    branch = debate.fork()
    for name in ("critic", "proposer"):
        branch.hear({name: Utterance("A: said later, when nothing is chosen any more")})
    transcript = branch.transcript()
    assert transcript.provenance["choice"] == "changed"
    assert [speech.side.value for speech in transcript.speeches] == ["B", "A", "B"]


def test_what_a_proposer_is_told_names_no_side(questions: Sequence[Question]) -> None:
    for prompts in ("chat", "prose", "testimony"):
        debate = Debate(questions[0], protocol("proposer_critic"), False, load_prompts(prompts))
        other = Debate(questions[0], protocol("proposer_critic").swapped(), False, load_prompts(prompts))
        assert debate.told("proposer") == other.told("proposer")


def test_roles_have_a_hash_and_the_prompts_of_two_debaters_keep_theirs(questions: Sequence[Question]) -> None:
    prompts = load_prompts("chat")
    assert prompts.hash_with(Protocol("debate")) == prompts.hash
    found = {prompts.hash_with(protocol(name)) for name in NEW}
    assert len(found) == 3 and prompts.hash in found, "three debaters have no role of their own"


def test_who_is_right_and_who_has_won(questions: Sequence[Question]) -> None:
    transcript = played(questions[0], Protocol("debate"))
    key = AnswerKey({questions[0].id: 1})
    assert correct_side(transcript, key) is Side.B and correct_side(transcript.swapped(), key) is Side.A
    verdict, tie = Verdict("judge", 0.8, 0.7), Verdict("judge", 0.5, 0.5)
    assert (pick(verdict), pick(verdict, Side.B), pick(tie), pick(tie, Side.B)) == (1.0, 0.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["protocol.seats=[A]"], "seats is now called speakers"),
        (["protocol.speakers={A: {sid: A}}"], "speakers.A has no key 'sid'"),
        (["protocol.turns=[{A: debater}]"], "the speaker B has none of the turns"),
        (["protocol.turns=[{A: debater}, {C: debater}]"], "turns has C"),
        (["protocol.turns=[{A: ../x}, {B: debater}]"], "use small letters"),
        (["protocol=simultaneous", "protocol.speakers.A.chooses_side=true"], "who speaks first and alone"),
        (["protocol=consultancy", "protocol.speakers.A.chooses_side=true"], "somebody on the other side"),
    ],
)
def test_speakers_that_cannot_be_are_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=r"^The configuration's protocol") as error:
        compose.load(["output=x", *overrides])
    assert said in str(error.value)


def test_a_role_without_a_prompt_and_an_opponent_of_unequal_sides_are_refused(
    small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = ["train", *small, f"output={tmp_path}/run"]
    assert main([*run, "protocol.turns=[{A: debater}, {B: heckler}]"]) == 2
    assert "has no roles/heckler.j2" in capfd.readouterr().err
    assert main([*run, "protocol.speakers.B.policy=other"]) == 2
    assert "names a policy that is not trained here" in capfd.readouterr().err
    assert main([*run, "protocol=three_debaters", "opponent=base"]) == 2
    assert "do not speak equally often" in capfd.readouterr().err


@pytest.mark.parametrize("name", NEW)
def test_a_run_under_each_protocol_is_trained_and_judged(name: str, small: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", *small, "iterations=1", "algorithm=rloo", f"protocol={name}", f"output={run}"]) == 0
    (metrics,) = read_lines(run / "metrics.jsonl")
    assert metrics["debates"] == 8 and metrics["failed"] == 0
    assert ("unusable_choices" in metrics) == (name == "proposer_critic")
