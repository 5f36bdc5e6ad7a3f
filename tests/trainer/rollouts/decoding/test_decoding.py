"""More at inference, with debaters and judges by script: what is chosen, on what, and what is kept of it."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Failure, Protocol, Question, Side, Speaker, Transcript
from rostrum.rewards.helpfulness import Helpfulness
from rostrum.rewards.inquirer import Inquirer
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.rewards.types import Unscored, Usage, Verdict
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.rollouts.decoding.best_of import BestOfN
from rostrum.trainer.rollouts.decoding.decoding_setup import Decoding
from rostrum.trainer.rollouts.decoding.length_matched import (
    LengthError,
    LengthMatched,
    lengths_of,
    read_lengths,
    write_lengths,
)
from rostrum.trainer.rollouts.decoding.refine import CritiqueAndRefine
from rostrum.trainer.rollouts.decoding.turns import budget
from rostrum.trainer.rollouts.play import play
from rostrum.trainer.types import Matchup, Policy, Rollout
from tests.rewards.writers import Writer

WORDS = ("attic", "cellar", "garden", "office")
DEBATE, SIMULTANEOUS = Protocol("debate", rounds=2), Protocol("simultaneous", rounds=2, simultaneous=True)
ASKING = replace(DEBATE, judge_asks=True)
POLICIES = {"checkpoint": Policy("checkpoint", 3, "x"), "base": Policy("base", 0, "y")}
SAMPLING = Sampling(8, seed=11)
Engines = dict[str, Any]


class AtticJudge:
    """One nat for every attic more than the other side says, times `weight`; INVALID on debates with an `invalid` word.
    Keeps what it has read."""

    name, usage = "attic", Usage()

    def __init__(self, weight: float = 1.0, invalid: str = "-") -> None:
        self.weight, self.invalid = weight, invalid
        self.read: list[Transcript] = []

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        self.read += transcripts
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        if any(self.invalid in speech.raw for speech in transcript.speeches):
            return Verdict(self.name, None, None, valid=False, reason="planted")
        said = sum((1 if s.side is Side.A else -1) * s.raw.split().count("attic") for s in transcript.speeches)
        p = 1 / (1 + 2.718281828 ** (-self.weight * said))
        return Verdict(self.name, p, p, readings=2)


def drawn(context: str, seed: int) -> str:
    return random.Random(f"{seed}:{context}").choice(WORDS)


@pytest.fixture
def engines(scripted_engine: Callable[..., Any]) -> Engines:
    """Each says a word drawn by its context and the seed."""
    made: Engines = {}
    for name in POLICIES:
        made[name] = scripted_engine(lambda text, name=name: drawn(text, made[name].seeds[-1]))
    return made


def matchups(questions: Sequence[Question], b: str = "checkpoint") -> list[Matchup]:
    policies = {Side.A: "checkpoint", Side.B: b}
    return [Matchup(f"{q.id}-{swapped}", q, swapped, policies) for q in questions for swapped in (False, True)]


def played(
    engines: Engines, asked: Sequence[Matchup], protocol: Protocol, decoding: Decoding, prompts: str = "testimony"
) -> list[Transcript]:
    outcomes = play(asked, protocol, load_prompts(prompts), engines, SAMPLING, POLICIES, decoding=decoding)
    assert all(isinstance(outcome, Rollout) for outcome in outcomes), outcomes
    return [outcome.transcript for outcome in outcomes if isinstance(outcome, Rollout)]


def words(transcripts: Sequence[Transcript], side: Side | None = None) -> list[str]:
    return [s.raw for t in transcripts for s in t.speeches if side in (None, s.side)]


@pytest.mark.parametrize("protocol", [DEBATE, SIMULTANEOUS, Protocol("consultancy", {"A": Speaker(Side.A)})])
def test_best_of_n_says_what_the_judge_likes_whenever_it_is_among_the_candidates(
    engines: Engines, questions: Sequence[Question], protocol: Protocol
) -> None:
    """Counted exactly: what each context was answered with, by seed, is drawn again here."""
    transcripts = played(engines, matchups(questions), protocol, Decoding(BestOfN(4, AtticJudge())))
    engine = engines["checkpoint"]
    calls = len(engine.seeds)
    assert calls == 4 * len(protocol.order()) == len(set(engine.seeds))
    rows = len(engine.contexts) // calls
    seeds: dict[str, list[int]] = defaultdict(list)
    for index, context in enumerate(engine.contexts):
        seeds[context].append(engine.seeds[index // rows])
    expected = []
    for context, of_context in seeds.items():
        options = [drawn(context, seed) for seed in dict.fromkeys(of_context)]
        expected += ["attic" if "attic" in options else options[0]] * (len(of_context) // 4)
    spoken = words(transcripts)
    assert sorted(spoken) == sorted(expected) and len(spoken) == 8 * protocol.speeches
    plain = words(played(engines, matchups(questions), protocol, Decoding()))
    assert spoken.count("attic") > plain.count("attic")
    for transcript in transcripts:
        n = 4 * len(transcript.speeches)
        counted = {"sampled_texts": n, "sampled_tokens": 2 * n, "preference_readings": 2 * n}
        assert budget(transcript, "checkpoint") == counted
        assert transcript.provenance["checkpoint sampled_tokens"] == 2 * n


def test_each_seat_is_given_what_is_liked_for_its_own_side(engines: Engines, questions: Sequence[Question]) -> None:
    """A judge that hates the word has both sides avoid it, whichever answer they defend."""
    liked, hated = (
        played(engines, matchups(questions), DEBATE, Decoding(BestOfN(4, AtticJudge(weight)))) for weight in (1, -1)
    )
    for side in Side:
        assert words(liked, side).count("attic") >= 9
        assert words(hated, side).count("attic") == 0


def test_a_judge_without_a_liking_leaves_what_would_have_been_said(
    engines: Engines, questions: Sequence[Question]
) -> None:
    plain = played(engines, matchups(questions), DEBATE, Decoding())
    for judge in (AtticJudge(0), AtticJudge(invalid="")):
        assert words(played(engines, matchups(questions), DEBATE, Decoding(BestOfN(4, judge)))) == words(plain)


def test_candidates_with_an_invalid_verdict_are_passed_over(engines: Engines, questions: Sequence[Question]) -> None:
    spoken = words(played(engines, matchups(questions), DEBATE, Decoding(BestOfN(8, AtticJudge(0, "attic")))))
    assert spoken.count("attic") == 0 and "attic" in words(played(engines, matchups(questions), DEBATE, Decoding()))


def test_candidates_are_read_in_the_real_debate_so_far(engines: Engines, questions: Sequence[Question]) -> None:
    judge = AtticJudge()
    transcripts = played(engines, matchups(questions, b="base"), DEBATE, Decoding(BestOfN(3, judge)))
    real = {(t.question.id, t.swapped_seats): t for t in transcripts}
    assert len(judge.read) == 3 * 2 * len(transcripts), "the base opponent chooses nothing"
    for supposed in judge.read:
        *before, candidate = supposed.speeches
        whole = real[supposed.question.id, supposed.swapped_seats]
        assert tuple(before) == whole.speeches[: candidate.turn] and candidate.side is Side.A
    assert all(budget(t, "checkpoint")["sampled_texts"] == 6 for t in transcripts)
    plain = {"sampled_texts": 2, "sampled_tokens": 4, "preference_readings": 0}
    assert all(budget(t, "base") == plain for t in transcripts)
    assert len(engines["base"].seeds) == 2


def test_a_candidate_of_a_simultaneous_round_is_read_without_the_others_speech(
    engines: Engines, questions: Sequence[Question]
) -> None:
    judge = AtticJudge()
    played(engines, matchups(questions), SIMULTANEOUS, Decoding(BestOfN(2, judge)))
    for supposed in judge.read:
        now = supposed.speeches[-1].turn
        assert [s.turn for s in supposed.speeches] == [*(turn for turn in range(now) for _ in Side), now]


def test_more_candidates_are_added_to_those_there_were(engines: Engines, questions: Sequence[Question]) -> None:
    """The candidates of best-of-2 are the first of best-of-4: a word liked among two is liked among four."""
    protocol = Protocol("consultancy", {"A": Speaker(Side.A)}, rounds=1)
    two, four = (
        words(played(engines, matchups(questions), protocol, Decoding(BestOfN(n, AtticJudge())))) for n in (2, 4)
    )
    assert all(b == "attic" for a, b in zip(two, four, strict=True) if a == "attic")
    assert four.count("attic") > two.count("attic")


def lengthy(made: Engines, name: str) -> Callable[[str], str]:
    return lambda text: " ".join(["word"] * random.Random(f"{made[name].seeds[-1]}:{text}").randint(1, 9))


def test_the_control_speaks_as_long_as_its_target(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    made: Engines = {}
    for name in POLICIES:
        made[name] = scripted_engine(lengthy(made, name))
    untrained = {"checkpoint": replace(POLICIES["checkpoint"], version=0), "base": POLICIES["base"]}
    targets = {0: [2], 1: [8], 2: [8], 3: [2]}
    decoding = Decoding(LengthMatched(24, targets))
    prompts = load_prompts("testimony")
    outcomes = play(matchups(questions, "base"), DEBATE, prompts, made, SAMPLING, untrained, decoding=decoding)
    off = [
        abs(speech.words - targets[speech.turn][0])
        for outcome in outcomes
        if isinstance(outcome, Rollout)
        for speech in outcome.transcript.speeches
    ]
    assert len(off) == 32 and sum(off) <= 4
    trained = played(made, matchups(questions, "base"), DEBATE, decoding)
    free = [abs(s.words - targets[s.turn][0]) for t in trained for s in t.speeches if s.policy == "checkpoint"]
    assert sum(free) > 16, "a trained policy speaks as it likes"


def test_lengths_are_drawn_from_what_was_stored(
    engines: Engines, questions: Sequence[Question], tmp_path: Path
) -> None:
    transcripts = played(engines, matchups(questions), DEBATE, Decoding())
    lengths = lengths_of(transcripts, "checkpoint")
    assert lengths == {turn: [1] * 8 for turn in range(4)} and lengths_of(transcripts, "base") == {}
    path = tmp_path / "lengths" / "iteration-0004.json"
    write_lengths(path, {0: [3, 5], 1: [4]})
    with pytest.raises(LengthError, match="no speech at turn 2, and debate has one"):
        read_lengths(path, DEBATE)
    assert read_lengths(path, replace(DEBATE, rounds=1)) == {0: [3, 5], 1: [4]}
    for broken in ("[1]", '{"0": "x"}', "{", '{"0": 3}'):
        path.write_text(broken, "utf-8")
        with pytest.raises(LengthError, match="cannot be read as lengths"):
            read_lengths(path, DEBATE)


def revising(text: str) -> str:
    """Drafts, criticises and writes again, each with the number of drafts that it has read."""
    if "<critique>" in text:
        return f"final {'attic' if 'SECOND' in text.rsplit('<critique>', 1)[1] else 'cellar'}"
    return "CRITIQUE" if "<draft>" in text else "DRAFT"


@pytest.fixture
def writers(scripted_engine: Callable[..., Any]) -> Engines:
    """Their second critique of a draft is another than the first."""
    made: Engines = {}
    criticised: dict[str, int] = defaultdict(int)

    def script(text: str) -> str:
        said = revising(text)
        if said != "CRITIQUE":
            return said
        criticised[text] += 1
        return f"CRITIQUE {'SECOND' if criticised[text] > 1 else 'FIRST'}"

    for name in POLICIES:
        made[name] = scripted_engine(script)
    return made


def test_only_the_rewritten_speech_is_public(writers: Engines, questions: Sequence[Question]) -> None:
    judge = AtticJudge()
    decoding = Decoding(CritiqueAndRefine(2, judge))
    transcripts = played(writers, matchups(questions[:1], "base"), DEBATE, decoding, prompts="chat")
    for transcript in transcripts:
        own = [s for s in transcript.speeches if s.side is Side.A]
        assert [(s.raw, s.text) for s in own] == [("final attic", "final attic")] * 2, "the judge likes the second"
        assert [s.private for s in own] == ["draft: DRAFT\ncritique: CRITIQUE SECOND"] * 2
        assert [s.private for s in transcript.speeches if s.side is Side.B] == ["", ""]
        for order in (transcript, transcript.swapped()):
            read = load_prompts("chat").judge(order)
            assert "CRITIQUE" not in read and read.count("DRAFT") == 2, "those that the plain opponent has said"
        assert budget(transcript, "checkpoint")["sampled_texts"] == 2 * 5
    assert not any("CRITIQUE" in context for context in writers["base"].contexts)
    assert not any("CRITIQUE" in speech.text for supposed in judge.read for speech in supposed.speeches)
    of_own = [context for context in writers["checkpoint"].contexts if "<draft>" not in context]
    assert of_own and not any("CRITIQUE" in context for context in of_own), "later drafts remember speeches alone"


class YesToTheSecond:
    """Finds critiques helpful that say SECOND; keeps what it was asked."""

    usage = Usage()

    def __init__(self, unscored: bool = False) -> None:
        self.unscored = unscored
        self.prompts: list[str] = []

    def choice_logprobs(self, prompts: Sequence[str], choices: Any) -> list[Any]:
        assert set(choices) == {("yes", "no")}
        self.prompts += prompts
        return [Unscored("lost") if self.unscored else (-0.1, -2.0) if "SECOND" in p else (-2.0, -0.1) for p in prompts]

    def write(self, prompts: Sequence[str], writing: Any) -> list[str]:
        raise AssertionError("it is to be asked for yes or no")


@pytest.mark.parametrize(("unscored", "spoken"), [(False, "final attic"), (True, "final cellar")])
def test_the_most_helpful_critique_alone_is_heeded(
    writers: Engines, questions: Sequence[Question], unscored: bool, spoken: str
) -> None:
    asked = YesToTheSecond(unscored)
    decoding = Decoding(CritiqueAndRefine(2, None, Helpfulness(asked, load_prompts("chat"))))
    transcripts = played(writers, matchups(questions[:2], "base"), DEBATE, decoding, prompts="chat")
    assert set(words(transcripts, Side.A)) == {spoken}
    for transcript in transcripts:
        assert budget(transcript, "checkpoint")["sampled_texts"] == 2 * 4, "a draft, two critiques and one rewrite each"
        assert budget(transcript, "checkpoint")["preference_readings"] == 2 * 2
    assert len(asked.prompts) == 2 * 2 * len(transcripts)
    for prompt in asked.prompts:
        assert "CRITIQUE" in prompt and "DRAFT" in prompt
        assert not any(question.passage in prompt for question in questions), "a judge does not read the passage"


def test_one_critique_needs_no_judge(writers: Engines, questions: Sequence[Question]) -> None:
    transcripts = played(writers, matchups(questions[:1]), SIMULTANEOUS, Decoding(CritiqueAndRefine(1, None)), "chat")
    assert set(words(transcripts)) == {"final cellar"}
    assert all(budget(t, "checkpoint")["preference_readings"] == 0 for t in transcripts)


def test_a_draft_whose_critique_does_not_fit_fails_alone(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    short = replace(questions[0], id="short", passage="attic")
    decoding = Decoding(CritiqueAndRefine(1, None))
    limit = len(load_prompts("chat").opening(short, short.answers, Side.A, short.passage).split()) + 130
    engine = scripted_engine(revising, max_context=limit)
    long = replace(short, id="long", passage=" ".join(["attic"] * 60))
    outcomes = play(
        [*matchups([short]), *matchups([long])],
        Protocol("c", {"A": Speaker(Side.A)}, rounds=1),
        load_prompts("chat"),
        {"checkpoint": engine},
        SAMPLING,
        POLICIES,
        decoding=decoding,
    )
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, False, True, True]
    assert all("the prompt for a critique has" in o.reason for o in outcomes if isinstance(o, Failure))


@pytest.mark.parametrize("protocol", [ASKING, replace(ASKING, simultaneous=True)])
def test_the_judges_question_is_read_by_both_seats_and_by_the_judge(
    engines: Engines, questions: Sequence[Question], protocol: Protocol
) -> None:
    writer = Writer(lambda prompt, call: "whose <u_quote>book</u_quote> is it ? private : B")
    decoding = Decoding(inquirer=Inquirer(writer, load_prompts("testimony")))
    outcomes = play(
        matchups(questions), protocol, load_prompts("testimony"), engines, SAMPLING, POLICIES, decoding=decoding
    )
    assert len(writer.prompts) == 8 and all(prompt.count("said :") == 2 for prompt in writer.prompts)
    for outcome in outcomes:
        assert isinstance(outcome, Rollout)
        transcript = outcome.transcript
        (inquiry,) = transcript.inquiries
        assert inquiry.text == "whose <u_quote>book</u_quote> is it ?" and inquiry.turn in (1, 2)
        for order in (transcript, transcript.swapped()):
            assert "question : whose <u_quote>book" in load_prompts("testimony").judge(order)
        for (row,) in outcome.rows.values():
            told = [token for token, mask in zip(row.completion, row.mask, strict=True) if not mask]
            sampled = [token for token, mask in zip(row.completion, row.mask, strict=True) if mask]
            decode = engines["checkpoint"].decode
            assert "whose <u_quote>book" in decode(told), "told, and masked out of what is learned"
            assert "whose" not in decode(sampled) and "whose" not in decode(row.prompt)


def test_a_question_that_could_not_be_written_is_recorded(engines: Engines, questions: Sequence[Question]) -> None:
    writer = Writer(lambda prompt, call: Unscored("the debate is too long"))
    decoding = Decoding(inquirer=Inquirer(writer, load_prompts("testimony")))
    for transcript in played(engines, matchups(questions), ASKING, decoding):
        assert [(i.text, i.problem) for i in transcript.inquiries] == [("", "the debate is too long")]


def test_siblings_are_asked_the_same(engines: Engines, questions: Sequence[Question]) -> None:
    """Though whoever asks would ask something else each time."""
    writer = Writer(lambda prompt, call: f"is it {len(writer.prompts)} {random.random()} ?")
    decoding = Decoding(inquirer=Inquirer(writer, load_prompts("testimony")))
    branching = [replace(matchup, branches=3, branch_turn=2) for matchup in matchups(questions)]
    transcripts = played(engines, branching, ASKING, decoding)
    assert len(transcripts) == 24
    for first in range(0, 24, 3):
        assert len({t.inquiries for t in transcripts[first : first + 3]}) == 1


def test_a_protocol_with_questions_needs_somebody_to_write_them(
    engines: Engines, questions: Sequence[Question]
) -> None:
    with pytest.raises(ValueError, match="nobody was given who writes its questions"):
        played(engines, matchups(questions), ASKING, Decoding())


def test_what_was_asked_reaches_the_verdict(engines: Engines, questions: Sequence[Question]) -> None:
    """This judge sides with A where it has asked."""

    class Model:
        usage = Usage()

        def choice_logprobs(self, prompts: Sequence[str], choices: Any) -> list[tuple[float, ...]]:
            return [(-0.1, -3.0) if "question : why" in prompt else (-3.0, -0.1) for prompt in prompts]

        def write(self, prompts: Sequence[str], writing: Any) -> list[str]:
            return ["why ?" for _ in prompts]

    judge = LikelihoodJudge("j", Model(), load_prompts("testimony"), order="given")
    asked = Decoding(inquirer=Inquirer(Model(), load_prompts("testimony")))
    with_question = played(engines, matchups(questions), ASKING, asked)
    without = played(engines, matchups(questions), DEBATE, Decoding())
    assert all(verdict.mean > 0.5 for verdict in judge.judge(with_question))
    assert all(verdict.mean < 0.5 for verdict in judge.judge(without))
