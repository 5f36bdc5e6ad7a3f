"""The embedded models: their tokenizer, their teaching, and what the shipped checkpoints can do."""

import itertools
import math
import random
import re
from dataclasses import replace

import pytest
import torch

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.testimony.world import RELIABILITY, WITNESSES, Statement, question_at, statements_of
from rostrum.rewards.judges.rating import parse as read_rating
from rostrum.rewards.judges.verdict import parse as read_verdict
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.models import loading
from rostrum.trainer.testimony_models import Recipe, build_models, checks
from rostrum.trainer.testimony_models.architectures import head_from, look_back, new_gpt_neox, new_llama, writer_from
from rostrum.trainer.testimony_models.base_debates import base_debates
from rostrum.trainer.testimony_models.corpora import (
    DEBATE,
    PROTOCOLS,
    Advocate,
    advocate_rows,
    as_sampled,
    look_ups,
    primers,
    prompts,
    verdict_rows,
    without_debate,
)
from rostrum.trainer.testimony_models.teach import IGNORED, Course, encode, row_loss, teach, teach_head
from rostrum.trainer.testimony_models.vocabulary import END, UNKNOWN, WORDS, WRITER_WORDS, build_tokenizer
from rostrum.trainer.testimony_models.writings import Opined, opined, reason, seat_drills, written_rows

SPEAKERS = ("debater", "judge", "judge-heldout", "judge-mixed")
SHIPPED = (*SPEAKERS, "judge-writer", "judge-head")
VOCABULARY = dict.fromkeys(SHIPPED, WORDS) | {"judge-writer": WRITER_WORDS}


@pytest.fixture(scope="module")
def debates():
    return {p.name: base_debates(loading.EMBEDDED / "debater", p, range(950_000, 950_200), 0) for p in PROTOCOLS}


@pytest.mark.parametrize("folder", SHIPPED)
def test_every_word_survives_the_shipped_tokenizers(folder):
    tokenizer, words = loading.load_tokenizer(f"embedded/{folder}"), VOCABULARY[folder]
    assert len(tokenizer) == len(words) == len(set(words))
    for index, word in enumerate(words):
        assert tokenizer.encode(word) == [index] and tokenizer.decode([index]) == word
    text = "A says : <quote> in the kitchen anna saw it </quote> B said : <u_quote> in the office leo saw it </u_quote>"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode(f"kitchen {END}"), skip_special_tokens=True) == "kitchen"
    assert tokenizer.decode(tokenizer.encode("zebra")) == UNKNOWN
    assert tokenizer.eos_token == END and tokenizer.bos_token is None


def test_nothing_taught_or_read_is_outside_the_vocabulary(debates):
    cases = [case for protocol in debates.values() for case in protocol]
    sources = (primers(0), look_ups(0), advocate_rows(0, Advocate()), verdict_rows(0, cases))
    texts = [text for rows in sources for row in itertools.islice(rows, 200) for text, _ in row]
    words = {word for text in texts for word in text.split()}
    assert words <= set(WORDS) - {UNKNOWN}


@pytest.fixture(scope="module")
def opinions(debates):
    """Forty debates and variants of them, with the reward judge's opinion."""
    cases = [case for protocol in debates.values() for case in protocol[:14]]
    return opined(0, cases, TransformersEngine("embedded/judge"))


def test_a_writer_is_taught_words_it_knows_and_texts_that_can_be_read(opinions):
    rows = list(itertools.islice(written_rows(0, opinions), 300))
    assert {word for row in rows for text, _ in row for word in text.split()} <= set(WRITER_WORDS) - {UNKNOWN}
    written = [row[1][0].removesuffix(f" {END}") for row in rows]
    assert all((read_verdict(text) is None) != (read_rating(text) is None) for text in written)
    assert len({read_rating(text) for text in written}) >= 6, "ties among them"
    assert all(taught is (index == 1) for row in rows for index, (_, taught) in enumerate(row))


def test_a_writer_says_the_seat_of_the_answer_that_it_names(opinions):
    """In both kinds of text and in the drills, where an answer is as often A's as B's."""
    sides = {"drills": [], "texts": []}
    for name, make in (("drills", seat_drills), ("texts", written_rows)):
        for row in itertools.islice(make(0, opinions), 200):
            told, text = row[0][0], " ".join(text for text, _ in row).removesuffix(f" {END}")
            answers = dict(zip("AB", re.search(r"answers : (\w+) A , (\w+) B \.", told).groups(), strict=True))
            place, side = re.search(r'(?:reasons :|"reason" : ") (\w+) ([AB]) ,', text).groups()
            found = read_verdict(text) or read_rating(text[text.rindex("{") :])
            assert place == answers[side] and (found.of_a == 0.5 or "AB"[found.of_a < 0.5] == side)
            sides[name].append(side)
    assert 0.4 < sides["drills"].count("A") / 200 < 0.6


def test_opinions_and_reasons_turn_round_with_the_seats(opinions):
    for debate in opinions:
        turned = debate.swapped()
        place, side, *witness = reason(debate).split()
        assert reason(turned).split() == [place, {"A": "B", "B": "A"}[side], *witness]
        assert debate.of_a + turned.of_a == pytest.approx(1)
    kinds = {(len(d.transcript.speeches), d.transcript.protocol.judge_sees_passage) for d in opinions}
    assert {(0, True), (4, False)} <= kinds and len(kinds) > 3


def test_a_reason_is_the_preferred_answer_and_the_best_witness_truly_quoted_for_it():
    question, _ = question_at("teaching", 3)
    of = [[s for s in statements_of(question.passage) if s.place == a] for a in question.answers]
    worst, best = (choose(of[0], key=lambda s: RELIABILITY[s.witness]) for choose in (min, max))
    debate = Debate(question, replace(DEBATE, rounds=2), False, prompts())
    lie = Statement(
        question.answers[1],
        next(w for w in WITNESSES if Statement(question.answers[1], w) not in statements_of(question.passage)),
    )
    for said in (worst, lie, best, worst):
        debate.hear({debate.speakers[0]: Utterance(as_sampled(said))})
    first, second = question.answers
    played = debate.transcript()
    assert reason(Opined(played, 0.9)) == f"{first} A , {best.witness} saw it ."
    assert reason(Opined(played, 0.1)) == f"{second} B , nobody saw it .", "an invention is no reason"
    assert reason(Opined(played.swapped(), 0.1)) == f"{first} B , {best.witness} saw it ."
    assert reason(Opined(without_debate(played, sees_passage=False), 0.9)) == f"{first} A , nobody saw it ."


def test_only_the_taught_words_are_labelled():
    inputs, labels = encode([[("A says :", False), (f"kitchen {END}", True)], [("B", False)]], build_tokenizer())
    ids = [WORDS.index(word) for word in ("A", "says", ":", "kitchen", END)]
    assert inputs.tolist() == [ids, [WORDS.index("B"), 0, 0, 0, 0]]
    assert labels.tolist() == [[IGNORED] * 3 + ids[3:], [IGNORED] * 5]


@pytest.mark.parametrize("make", [new_llama, new_gpt_neox])
def test_the_loss_is_the_mean_over_taught_words_and_padding_changes_nothing(make):
    model, tokenizer = make(0), build_tokenizer()
    row = [("A says :", False), (f"kitchen {END}", True)]
    alone = row_loss(model, *encode([row], tokenizer))
    padded = row_loss(model, *encode([row, [("B says : in the garden", False)]], tokenizer))
    logprobs = model(encode([row], tokenizer)[0]).logits[0].log_softmax(-1)
    expected = -(logprobs[2, WORDS.index("kitchen")] + logprobs[3, WORDS.index(END)]) / 2
    assert alone.item() == pytest.approx(expected.item(), rel=1e-4) == pytest.approx(padded.item(), rel=1e-4)


def test_biased_heads_score_the_word_before_highest():
    queries, keys = (bias.view(2, -1) for bias in look_back(32))
    frequencies = 100.0 ** (-torch.arange(0, 32, 2) / 32)

    def turned(halves, position):
        angle = frequencies * position
        first, second = halves
        return torch.cat([first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()])

    scores = [float(turned(queries, 20) @ turned(keys, position)) for position in range(21)]
    assert max(range(21), key=scores.__getitem__) == 19
    assert scores[19] == pytest.approx(9 * 16, rel=1e-4)


def test_an_advocate_speaks_as_often_as_its_habits_say():
    rng, story = random.Random(0), statements_of(question_at("teaching", 0)[0].passage)
    own = question_at("teaching", 0)[0].answers[0]
    always = [Advocate(1.0, 0.0).speak(rng, story, own) for _ in range(100)]
    assert {s.place for s in always} == {own} and set(always) <= set(story)
    assert {Advocate(0.0, 1.0).speak(rng, story, own) for _ in range(300)} == set(story)
    made_up = [Advocate(0.0, 0.0).speak(rng, story, own) for _ in range(2000)]
    assert sum(s.place == own for s in made_up) / 2000 == pytest.approx(0.5 + 0.5 / 8, abs=0.04)
    assert {s.witness for s in made_up} == set(RELIABILITY)


def test_the_strongest_statements_are_those_of_the_most_credible_witnesses():
    story = [Statement("attic", w) for w in ("leo", "anna", "boris")] + [Statement("office", "clara")]
    said = [checks.strongest(random.Random(0), story, "attic", turn).witness for turn in range(3)]
    assert said == ["anna", "boris", "anna"]


class _Partial:
    """A scorer that gives the answer named first in the prompt a fixed probability."""

    def __init__(self, first):
        self.first = first

    def choice_logprobs(self, prompts, choices):
        odds = {True: math.log(self.first), False: math.log(1 - self.first)}
        return [tuple(odds[f"A : {c}" in p] for c in cs) for p, cs in zip(prompts, choices, strict=True)]


def test_position_bias_is_measured_and_averages_out(debates):
    figures = checks.judge_figures(_Partial(0.8), debates[DEBATE.name])
    assert figures.position_bias == pytest.approx(0.3, abs=1e-6)
    assert figures.probability == pytest.approx(0.5, abs=1e-6)
    assert figures.given + figures.swapped == pytest.approx(1.0)


def test_a_perfect_and_a_backward_judge_are_told_apart(debates):
    class Oracle(_Partial):
        def choice_logprobs(self, prompts, choices):
            right = {t.question.answers[c] for t, c in [case]}
            return [tuple(-0.1 if c in right else -3.0 for c in cs) for cs in choices]

    case = debates[DEBATE.name][0]
    assert checks.judge_figures(Oracle(0.5), [case]).both == 1.0
    wrong = (case[0], 1 - case[1])
    scorer = Oracle(0.5)
    assert checks.judge_figures(scorer, [case]).position_bias == pytest.approx(0.0, abs=1e-6)
    assert checks.judge_figures(scorer, [wrong]).both == 0.0


def test_the_shipped_debater_is_a_clumsy_advocate_under_every_protocol(debates):
    for cases in debates.values():
        figures = checks.debater_figures([transcript for transcript, _ in cases])
        assert figures.quoting > 0.97
        assert 0.6 < figures.verified < 0.85
        assert 0.6 < figures.supporting < 0.85


def test_the_shipped_debater_is_no_worse_in_its_last_speech(debates):
    transcripts = [transcript for transcript, _ in debates[DEBATE.name]]
    last = [replace(t, speeches=t.speeches[-1:]) for t in transcripts]
    assert checks.debater_figures(last).verified > checks.debater_figures(transcripts).verified - 0.1


@pytest.mark.parametrize("folder", ["judge", "judge-heldout", "judge-mixed"])
def test_the_shipped_judges_are_weak_but_not_blind(folder, debates):
    engine = TransformersEngine(str(loading.EMBEDDED / folder))
    base = checks.judge_figures(engine, debates[DEBATE.name])
    scripted = checks.scripted_debates(range(950_000, 950_200), 0, checks.strongest, checks.strongest)
    best = checks.judge_figures(engine, scripted)
    naive = checks.judge_figures(engine, checks.alone(debates[DEBATE.name], sees_passage=False))
    expert = checks.judge_figures(engine, checks.alone(debates[DEBATE.name], sees_passage=True))
    assert 0.58 < base.both < 0.85
    assert abs(base.position_bias) < 0.08
    assert best.both > base.both + 0.05
    assert 0.38 < naive.both < 0.62
    assert expert.both > base.both


def test_the_shipped_models_fit_their_allowance():
    sizes = [file.stat().st_size for folder in SHIPPED for file in (loading.EMBEDDED / folder).iterdir()]
    assert sum(sizes) <= 6 * 2**20
    assert all((loading.EMBEDDED / folder / "README.md").exists() for folder in SHIPPED)


def test_a_head_is_taught_the_probability_of_class_zero():
    head, tokenizer = head_from(new_llama(0), 0), build_tokenizer()
    rows = itertools.cycle([("A : kitchen", 0.9), ("B", 0.2)])
    assert teach_head(head, tokenizer, rows, Course(60, batch=4, rate=3e-3), "head", print) == 60
    with torch.inference_mode():
        found = [head(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0, 0] for text in ("A : kitchen", "B")]
    assert [float(p) for p in found] == pytest.approx([0.9, 0.2], abs=0.05)


def test_a_writer_keeps_what_the_judge_knew():
    judge = loading.load_model("embedded/judge")
    writer = writer_from(judge, 0)
    ids = torch.tensor([build_tokenizer().encode("question : where is the key ? A : kitchen B : office verdict :")])
    with torch.inference_mode():
        kept = writer(ids).logits[..., : len(WORDS)]
        assert torch.allclose(kept, judge(ids).logits, atol=1e-5)
    assert writer.config.vocab_size == len(WRITER_WORDS) and judge.config.vocab_size == len(WORDS)
    tokenizer = build_tokenizer(WRITER_WORDS)
    asked = [tokenizer.encode(f"A : kitchen B : office {word} :") for word in ("verdict", "reasons")]
    with torch.inference_mode():
        alike = [writer(torch.tensor([ids])).logits[0, -1] for ids in asked]
    assert torch.allclose(*alike), "reasons begin as a verdict would"


def test_teaching_lowers_the_loss_and_stops_when_it_is_low_enough():
    lines: list[str] = []
    model, tokenizer = new_llama(0), build_tokenizer()
    row = [("A says :", False), (f"kitchen {END}", True)]
    steps = teach(model, tokenizer, itertools.repeat(row), Course(200, batch=2, enough=0.5), "drill", lines.append)
    assert 25 <= steps < 200
    assert row_loss(model, *encode([row], tokenizer)).item() < 0.5
    assert lines[-1].startswith(f"drill: step {steps} of 200")


def test_the_builder_runs_from_nothing_to_usable_folders(tmp_path):
    brief = Course(2, batch=4)
    recipe = Recipe(
        primer=brief,
        look_up=brief,
        advocate=brief,
        judge=brief,
        heldout_judge=brief,
        mixed_judge=brief,
        writer_drill=brief,
        writer=brief,
        head=brief,
        debates=3,
        checked=2,
    )
    lines: list[str] = []
    build_models(tmp_path, seed=5, progress=lines.append, recipe=recipe)
    assert all("2 steps of 4" in (tmp_path / folder / "README.md").read_text("utf-8") for folder in SHIPPED)
    assert loading.load_classifier(str(tmp_path / "judge-head")).config.num_labels == 2
    for folder in SPEAKERS:
        engine = TransformersEngine(str(tmp_path / folder))
        debate, _ = base_debates(tmp_path / "debater", DEBATE, range(1), 0)[0]
        scored = engine.choice_logprobs([prompts().judge(debate)], [(" kitchen", " office")])
        assert all(value < 0 for value in scored[0])
    assert any(line.startswith("judge-heldout: step 2 of 2") for line in lines)
