"""What the models are taught from: drills for the skills, the clumsy advocate for the role, debates for the judges."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import Prompts, load_prompts
from rostrum.envs.testimony.world import (
    OBJECTS,
    PLACES,
    SPLIT_SIZE,
    STATEMENTS,
    WITNESSES,
    Statement,
    passage_of,
    question_at,
    statements_of,
)
from rostrum.envs.types import Protocol, Question, Side, Speaker, Transcript
from rostrum.trainer.testimony_models.teach import Row, Segment
from rostrum.trainer.testimony_models.vocabulary import END

DEBATE = Protocol("debate")
SIMULTANEOUS = Protocol("debate-simultaneous", simultaneous=True)
CONSULTANCY = Protocol("consultancy", {"A": Speaker(Side.A)})
PROTOCOLS = (DEBATE, SIMULTANEOUS, CONSULTANCY)
"""What the debater learns to take part in and the judges learn to judge."""
Case = tuple[Transcript, int]
"""A debate and which of its question's answers (0 or 1) is right."""


def prompts() -> Prompts:
    """Return the prompts that the models of this world read."""
    return load_prompts("testimony")


def as_sampled(statement: Statement) -> str:
    """Return a speech as a debater writes it."""
    return f"<quote> {statement} </quote>"


@dataclass(frozen=True, slots=True)
class Advocate:
    """How often the base debater does what; the rest of the time it invents a statement."""

    supporting: float = 0.5
    """Quotes a random statement for its own answer."""
    anything: float = 0.25
    """Quotes a random statement, for whichever place."""

    def speak(self, rng: random.Random, story: Sequence[Statement], own: str) -> Statement:
        """Return one speech's statement. An invention is a random witness, half of the time for the own answer."""
        choice = rng.random()
        if choice < self.supporting:
            return rng.choice([statement for statement in story if statement.place == own])
        if choice < self.supporting + self.anything:
            return rng.choice(story)
        return Statement(own if rng.random() < 0.5 else rng.choice(PLACES), rng.choice(WITNESSES))


def primers(seed: int) -> Iterator[Row]:
    """Yield endless lists of place and witness pairs, then some of the places again, to be followed by their
    witness."""
    rng = random.Random(f"primers {seed}")
    while True:
        length = rng.randint(2, len(PLACES))
        pairs = list(zip(rng.sample(PLACES, length), rng.sample(WITNESSES, length), strict=True))
        row: list[Segment] = [(" ".join(f"{place} {witness}" for place, witness in pairs), False)]
        for place, witness in rng.sample(pairs, (length + 1) // 2):
            row += [(place, False), (witness, True)]
        yield row


def look_ups(seed: int) -> Iterator[Row]:
    """Yield endless stories with questions about several places: quote a statement for each of them.

    In half of the rows every place has one statement only.
    """
    rng, texts = random.Random(f"look-ups {seed}"), prompts()
    while True:
        size = rng.randint(2, STATEMENTS)
        places = rng.sample(PLACES, size) if rng.random() < 0.5 else rng.choices(PLACES, k=size)
        witnesses = rng.sample(WITNESSES, size)
        story = [Statement(place, witness) for place, witness in zip(places, witnesses, strict=True)]
        question = Question("", "", f"where is the {rng.choice(OBJECTS)} ?", ("", ""), passage_of(story))
        row: list[Segment] = []
        for place in rng.sample(PLACES, len(PLACES)):
            found = [statement for statement in story if statement.place == place]
            if found and len(row) < 8:
                side, answers = rng.choice(list(Side)), (place, rng.choice(PLACES))
                answers = answers if side is Side.A else answers[::-1]
                opening = texts.opening(question, answers, side, "" if row else question.passage)
                told = opening + texts.turn(side, [], Protocol("debate"))
                row += [(told, False), (f"{as_sampled(rng.choice(found))} {END}", True)]
        yield row


def advocate_rows(seed: int, advocate: Advocate) -> Iterator[Row]:
    """Yield endless debates of two clumsy advocates, a row for each speaker, word for word as the game tells them.

    A third each: sequential debate, simultaneous debate, consultancy; one to three speeches per speaker.
    """
    rng, texts = random.Random(f"advocates {seed}"), prompts()
    for index in range(SPLIT_SIZE):
        question, _ = question_at("teaching", index, seed)
        protocol = replace(rng.choice(PROTOCOLS), rounds=rng.randint(1, 3))
        debate = Debate(question, protocol, rng.random() < 0.5, texts)
        yield from advocate_debate(rng, debate, advocate).values()


def advocate_debate(rng: random.Random, debate: Debate, advocate: Advocate) -> dict[str, list[Segment]]:
    """Play the debate to its end; each speaker's own speeches are taught, the rest is read."""
    story = statements_of(debate.question.passage)
    rows: dict[str, list[Segment]] = {speaker: [] for speaker in debate.protocol.speakers}
    while not debate.finished:
        said = {}
        for speaker in debate.speakers:
            side = debate.protocol.speakers[speaker].side
            speech = as_sampled(advocate.speak(rng, story, debate.answers[side is Side.B]))
            rows[speaker] += [(debate.told(speaker), False), (f"{speech} {END}", True)]
            said[speaker] = Utterance(speech)
        debate.hear(said)
    return rows


def without_debate(transcript: Transcript, sees_passage: bool) -> Transcript:
    """Return the same question before a judge who decides alone, without or with the passage (the reference arms)."""
    protocol = Protocol("expert" if sees_passage else "naive", {}, 0, judge_sees_passage=sees_passage)
    return replace(transcript, protocol=protocol, speeches=())


def verdict_rows(seed: int, cases: Sequence[Case], naive: float = 0.05, expert: float = 0.25) -> Iterator[Row]:
    """Yield endless verdicts on debates in both orders of presentation: which answer is right, by its text.

    Shares `naive` and `expert` of the rows have no debate; four in ten of the others break off after a random speech.
    """
    rng, texts = random.Random(f"verdicts {seed}"), prompts()
    while True:
        transcript, correct = rng.choice(cases)
        kind, length = rng.random(), len(transcript.speeches)
        if kind < naive + expert:
            transcript = without_debate(transcript, sees_passage=kind < expert)
        elif rng.random() < 0.4:
            transcript = replace(transcript, speeches=transcript.speeches[: rng.randint(1, length)])
        read = transcript.swapped() if rng.random() < 0.5 else transcript
        yield [(texts.judge(read), False), (transcript.question.answers[correct], True)]
