"""What the judges that write and the judge with a head are taught from: debates, what can be said of them, and the
weak judge's opinion."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from envs.ratings import rating_of
from envs.testimony.world import Statement, statements_of
from envs.types import Transcript
from rewards.judges.likelihood import LikelihoodJudge
from rewards.types import Scorer
from trainer.testimony.corpora import Case, prompts, without_debate
from trainer.testimony.teach import Row
from trainer.testimony.vocabulary import END


@dataclass(frozen=True, slots=True)
class Opined:
    """A debate (or a part of one, or none), which of its question's answers is right, and a weak judge's P(answer of
    seat A)."""

    transcript: Transcript
    correct: int
    of_a: float

    def swapped(self) -> "Opined":
        """The same with the seats relabelled."""
        return Opined(self.transcript.swapped(), self.correct, 1 - self.of_a)

    @property
    def right_seat(self) -> str:
        """The seat that defends the right answer."""
        return "AB"[self.transcript.question.answers[self.correct] != self.transcript.answers[0]]


def opined(
    seed: int, cases: Sequence[Case], weak: Scorer, naive: float = 0.05, expert: float = 0.2, cut: float = 0.3
) -> list[Opined]:
    """The weak judge's opinion, both orders averaged, on each of the debates and on variants of some of them.

    Such shares of them are added without a debate (naive, expert) or broken off after a random speech (cut).
    """
    rng = random.Random(f"variants {seed}")
    variants = list(cases)
    for transcript, correct in cases:
        kind, length = rng.random(), len(transcript.speeches)
        if kind < naive + expert:
            variants.append((without_debate(transcript, sees_passage=kind < expert), correct))
        elif kind < naive + expert + cut:
            variants.append((replace(transcript, speeches=transcript.speeches[: rng.randint(1, length)]), correct))
    verdicts = LikelihoodJudge("weak", weak, prompts(), min_mass=0.0).judge([transcript for transcript, _ in variants])
    return [Opined(t, c, verdict.mean) for (t, c), verdict in zip(variants, verdicts, strict=True)]


def reasons(transcript: Transcript) -> str:
    """What a judge can say for its verdict: who, truly quoted or in the story, speaks for which answer."""
    seats = dict(zip(transcript.answers, "AB", strict=True))
    said = [(s.witness, seats[s.place]) for s in seen(transcript) if s.place in seats]
    return " ".join(f"{witness} says {seat} ." for witness, seat in dict.fromkeys(said)) or "nobody ."


def seen(transcript: Transcript) -> list[Statement]:
    """The statements that the judge can rely on, in the order in which it reads them."""
    if transcript.protocol.judge_sees_passage:
        return list(statements_of(transcript.question.passage))
    texts = [quote.text.split() for speech in transcript.speeches for quote in speech.quotes if quote.verified]
    statements = [(Statement(words[2], words[3]), words) for words in texts if len(words) == 6]
    return [statement for statement, words in statements if str(statement).split() == words]


def written_rows(seed: int, debates: Sequence[Opined]) -> Iterator[Row]:
    """Endless verdicts and ratings with their reasons, in both orders of presentation.

    Verdicts name the right answer, ratings are the weak judge's opinion. A quarter of the prompts have instructions.
    """
    rng, texts = random.Random(f"writings {seed}"), prompts()
    while True:
        debate = rng.choice(debates)
        shown = debate.swapped() if rng.random() < 0.5 else debate
        why, told = reasons(shown.transcript), rng.choice(("criteria", "debias") if rng.random() < 0.25 else ("plain",))
        if rng.random() < 0.5:
            yield [(texts.judge(shown.transcript, "verdict", told), False),
                   (f"{why} Verdict : {shown.right_seat} {END}", True)]  # fmt: skip
        else:
            written = f'{{ "reason" : " {why} " , "score" : {rating_of(shown.of_a)} }} {END}'
            yield [(texts.judge(shown.transcript, "rating", told), False), (written, True)]


def classified_rows(seed: int, debates: Sequence[Opined]) -> Iterator[tuple[str, float]]:
    """Endless prompts of a judge that only answers, in both orders of presentation, and the weak judge's opinion: P(the
    answer shown as A), which has less noise in it than the right answer and is learned where that is not."""
    rng, texts = random.Random(f"classes {seed}"), prompts()
    while True:
        debate = rng.choice(debates)
        shown = debate.swapped() if rng.random() < 0.5 else debate
        yield texts.judge(shown.transcript), shown.of_a
