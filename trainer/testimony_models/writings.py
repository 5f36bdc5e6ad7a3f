"""What the judges that write and the judge with a head are taught from: debates, what can be said of them, and the
weak judge's opinion."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rostrum.envs.prompts.judge_prompts import Instructions
from rostrum.envs.prompts.ratings import RATINGS, rating_of
from rostrum.envs.testimony.world import RELIABILITY, Statement, statements_of
from rostrum.envs.types import Transcript
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.rewards.types import Scorer
from rostrum.trainer.testimony_models.corpora import Case, prompts, without_debate
from rostrum.trainer.testimony_models.teach import Row
from rostrum.trainer.testimony_models.vocabulary import END


@dataclass(frozen=True, slots=True)
class Opined:
    """A debate (or a part of one, or none) and a weak judge's P(answer of side A); not which answer is right."""

    transcript: Transcript
    of_a: float

    def swapped(self) -> "Opined":
        """Return the same with the sides relabelled."""
        return Opined(self.transcript.swapped(), 1 - self.of_a)


def opined(
    seed: int, cases: Sequence[Case], weak: Scorer, naive: float = 0.05, expert: float = 0.2, cut: float = 0.3
) -> list[Opined]:
    """Return the weak judge's opinion, both orders averaged, on each of the debates and on variants of some of them.

    Such shares of them are added without a debate (naive, expert) or broken off after a random speech (cut).
    """
    rng = random.Random(f"variants {seed}")
    variants = [transcript for transcript, _ in cases]
    for transcript in list(variants):
        kind, length = rng.random(), len(transcript.speeches)
        if kind < naive + expert:
            variants.append(without_debate(transcript, sees_passage=kind < expert))
        elif kind < naive + expert + cut:
            variants.append(replace(transcript, speeches=transcript.speeches[: rng.randint(1, length)]))
    verdicts = LikelihoodJudge("weak", weak, prompts(), min_mass=0.0).judge(variants)
    return [Opined(t, verdict.mean) for t, verdict in zip(variants, verdicts, strict=True)]


def reason(debate: Opined) -> str:
    """Return the answer that the weak judge prefers with its side, and the most reliable of those who, truly quoted or
    in the story, saw it there.

    The answer's own word comes first: that is what the weak judge has learned to say. The rest is looked up by it.
    """
    second = debate.of_a < 0.5
    place = debate.transcript.answers[second]
    witnesses = [statement.witness for statement in seen(debate.transcript) if statement.place == place]
    witness = max(witnesses, key=RELIABILITY.__getitem__, default="nobody")
    return f"{place} {'AB'[second]} , {witness} saw it ."


def seen(transcript: Transcript) -> list[Statement]:
    """Return the statements that the judge can rely on, in the order in which it reads them."""
    if transcript.protocol.judge_sees_passage:
        return list(statements_of(transcript.question.passage))
    texts = [quote.text.split() for speech in transcript.speeches for quote in speech.quotes if quote.verified]
    statements = [(Statement(words[2], words[3]), words) for words in texts if len(words) == 6]
    return [statement for statement, words in statements if str(statement).split() == words]


def seat_drills(seed: int, debates: Sequence[Opined]) -> Iterator[Row]:
    """Yield endless verdicts and ratings on questions alone, for one answer or the other at random: whose answer is
    it?"""
    rng, texts = random.Random(f"seats {seed}"), prompts()
    while True:
        alone = without_debate(rng.choice(debates).transcript, sees_passage=False)
        second = rng.random() < 0.5
        answer, side = alone.answers[second], "AB"[second]
        if rng.random() < 0.5:
            yield [
                (f"{texts.judge(alone, 'verdict')} {answer}", False),
                (side, True),
                (", nobody saw it . Verdict :", False),
                (f"{side} {END}", True),
            ]
        else:
            score = RATINGS[-1] if second else RATINGS[0]
            yield [
                (f'{texts.judge(alone, "rating")} {{ "reason" : " {answer}', False),
                (side, True),
                (', nobody saw it . " , "score" :', False),
                (f"{score} }} {END}", True),
            ]


def written_rows(seed: int, debates: Sequence[Opined]) -> Iterator[Row]:
    """Yield endless verdicts and ratings with their reasons, in both orders of presentation: the weak judge's opinion.

    A quarter of the prompts have instructions.
    """
    rng, texts = random.Random(f"writings {seed}"), prompts()
    while True:
        debate = rng.choice(debates)
        shown = debate.swapped() if rng.random() < 0.5 else debate
        instructed: tuple[Instructions, ...] = ("criteria", "debias") if rng.random() < 0.25 else ("plain",)
        why, told = reason(shown), rng.choice(instructed)
        if rng.random() < 0.5:
            yield [
                (texts.judge(shown.transcript, "verdict", told), False),
                (f"{why} Verdict : {'AB'[shown.of_a < 0.5]} {END}", True),
            ]
        else:
            written = f'{{ "reason" : " {why} " , "score" : {rating_of(shown.of_a)} }} {END}'
            yield [(texts.judge(shown.transcript, "rating", told), False), (written, True)]


def classified_rows(seed: int, debates: Sequence[Opined]) -> Iterator[tuple[str, float]]:
    """Yield endless prompts of a judge that only answers, in both orders of presentation, and the weak judge's opinion:
    P(the answer shown as A), which has less noise in it than the right answer and is learned where that is not."""
    rng, texts = random.Random(f"classes {seed}"), prompts()
    while True:
        debate = rng.choice(debates)
        shown = debate.swapped() if rng.random() < 0.5 else debate
        yield texts.judge(shown.transcript), shown.of_a
