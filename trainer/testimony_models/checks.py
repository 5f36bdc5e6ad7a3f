"""Are the debater and the judges fit for experiments? The figures of the model cards, and how they are computed."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.testimony.world import RELIABILITY, Statement, question_at, statements_of
from rostrum.envs.types import Side, Transcript
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.rewards.statistics import wilson
from rostrum.rewards.types import Judge, Scorer, Verdict, favours
from rostrum.trainer.testimony_models.corpora import DEBATE, Case, as_sampled, prompts, without_debate

Strategy = Callable[[random.Random, Sequence[Statement], str, int], Statement]
"""(random numbers, story, the place it argues for, its how-many-th speech) -> the statement to quote."""


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """How a judge does on a set of debates. Accuracies are shares of right verdicts; ties count half."""

    debates: int
    both: float
    """Accuracy of the mean over both orders of presentation."""
    interval: tuple[float, float]
    """95 % Wilson interval of `both`."""
    given: float
    swapped: float
    """Accuracy of each order alone."""
    position_bias: float
    """Mean probability of the answer labelled A over both orders, less one half."""
    probability: float
    """Mean probability of the right answer."""
    right: float
    wrong: float
    """Accuracy where speaker A defends the right and the wrong answer (for consultancy)."""
    invalid: float = 0.0
    """Share of INVALID verdicts, which count half above."""


@dataclass(frozen=True, slots=True)
class DebaterFigures:
    """Shares of the speeches of base debates."""

    speeches: int
    quoting: float
    """Speeches that are one quotation in the tags of the game."""
    verified: float
    supporting: float
    """Speeches that quote a statement for their own answer."""
    verified_and_supporting: float


def strongest(rng: random.Random, story: Sequence[Statement], own: str, turn: int) -> Statement:
    """Return the statement for the own answer by the most credible witness, then the second, and round again."""
    found = sorted((s for s in story if s.place == own), key=lambda s: -RELIABILITY[s.witness])
    return found[turn % min(2, len(found))]


def invented(rng: random.Random, story: Sequence[Statement], own: str, turn: int) -> Statement:
    """Return a statement for the own answer by one of the four most credible witnesses, made up if need be."""
    return Statement(own, rng.choice(tuple(RELIABILITY)[:4]))


def scripted_debates(indices: range, seed: int, right: Strategy, wrong: Strategy) -> list[Case]:
    """Return sequential debates on the teaching split, the right answer argued by one strategy, the wrong by
    another."""
    cases: list[Case] = []
    for index in indices:
        question, correct = question_at("teaching", index, seed)
        rng = random.Random(f"scripted {seed} {index}")
        debate = Debate(question, DEBATE, rng.random() < 0.5, prompts())
        strategies = {answer: right if answer == question.answers[correct] else wrong for answer in question.answers}
        cases.append((played(rng, debate, strategies), correct))
    return cases


def played(rng: random.Random, debate: Debate, strategies: Mapping[str, Strategy]) -> Transcript:
    """Play a debate to its end; each answer is argued by its own strategy."""
    story, spoken = statements_of(debate.question.passage), Counter[str]()
    while not debate.finished:
        said = {}
        for speaker in debate.speakers:
            own = debate.answers[debate.protocol.speakers[speaker].side is Side.B]
            said[speaker] = Utterance(as_sampled(strategies[own](rng, story, own, spoken[speaker])))
            spoken[speaker] += 1
        debate.hear(said)
    return debate.transcript()


def judge_figures(scorer: Scorer, cases: Sequence[Case]) -> JudgeFigures:
    """Return the figures of a likelihood judge."""
    return figures_of(LikelihoodJudge("check", scorer, prompts()), cases)


def figures_of(judge: Judge, cases: Sequence[Case]) -> JudgeFigures:
    """Read every debate in both orders of presentation, and return the figures."""
    verdicts = judge.judge([transcript for transcript, _ in cases])
    given, swapped = (_of_right(cases, verdicts, order) for order in ("given", "swapped"))
    both = [(p + q) / 2 for p, q in zip(given, swapped, strict=True)]
    a_is_right = [correct == transcript.answer_index(Side.A) for transcript, correct in cases]
    # P(label A): of the right answer where A holds it in that order, of the other answer where it does not.
    bias = [(p - q) / 2 if a else (q - p) / 2 for p, q, a in zip(given, swapped, a_is_right, strict=True)]
    interval = wilson(sum(map(favours, both)), len(cases))
    return JudgeFigures(
        debates=len(cases),
        both=interval.estimate,
        interval=(interval.low, interval.high),
        given=_accuracy(given),
        swapped=_accuracy(swapped),
        position_bias=sum(bias) / len(bias),
        probability=sum(both) / len(both),
        right=_accuracy([p for p, a in zip(both, a_is_right, strict=True) if a]),
        wrong=_accuracy([p for p, a in zip(both, a_is_right, strict=True) if not a]),
        invalid=sum(not verdict.valid for verdict in verdicts) / max(1, len(verdicts)),
    )


def alone(cases: Sequence[Case], sees_passage: bool) -> list[Case]:
    """Return the same questions without debaters: the naive and the expert arm."""
    return [(without_debate(transcript, sees_passage), correct) for transcript, correct in cases]


def debater_figures(transcripts: Sequence[Transcript]) -> DebaterFigures:
    """Return what the speakers of these debates say."""
    speeches = [(speech, transcript) for transcript in transcripts for speech in transcript.speeches]
    quoting = [len(s.quotes) == 1 and s.raw == f"<quote> {s.quotes[0].text} </quote>" for s, _ in speeches]
    verified = [any(quote.verified for quote in s.quotes) for s, _ in speeches]
    supporting = [t.answers[s.side is Side.B] in s.text.split() for s, t in speeches]
    both = [v and s for v, s in zip(verified, supporting, strict=True)]
    shares = (sum(flags) / len(speeches) for flags in (quoting, verified, supporting, both))
    return DebaterFigures(len(speeches), *shares)


def _of_right(cases: Sequence[Case], verdicts: Sequence[Verdict], order: str) -> list[float]:
    """Return the probability of the right answer in one order of presentation; one half where the verdict is
    INVALID."""
    probabilities = []
    for (transcript, correct), verdict in zip(cases, verdicts, strict=True):
        of_a = getattr(verdict, order) if verdict.valid else 0.5
        probabilities.append(of_a if correct == transcript.answer_index(Side.A) else 1 - of_a)
    return probabilities


def _accuracy(probabilities: Sequence[float]) -> float:
    return sum(map(favours, probabilities)) / max(1, len(probabilities))
