"""What the models are taught from: drills for the skills, the clumsy advocate for the role, debates for the judges."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envs.testimony.world import OBJECTS, PLACES, STATEMENTS, WITNESSES, Statement, passage_of, question_at, statements_of
from envs.types import Question, Seat
from trainer.testimony.prompts import as_judged, as_sampled, debater_opening, heard, task, turn, verdict_prompt
from trainer.testimony.teach import Row, Segment
from trainer.testimony.vocabulary import END

FULL_STORY_AFTER = 6000
"""Drill rows until stories have grown to their full length: a look-up is learned on short stories first."""


@dataclass(frozen=True, slots=True)
class Advocate:
    """How often the base debater does what; the rest of the time it invents a statement."""

    supporting: float = 0.5
    """Quotes a random statement for its own answer."""
    anything: float = 0.25
    """Quotes a random statement, for whichever place."""

    def speak(self, rng: random.Random, story: Sequence[Statement], own: str) -> Statement:
        """One speech's statement. An invention is a random witness, half of the time for the own answer."""
        choice = rng.random()
        if choice < self.supporting:
            return rng.choice([statement for statement in story if statement.place == own])
        if choice < self.supporting + self.anything:
            return rng.choice(story)
        return Statement(own if rng.random() < 0.5 else rng.choice(PLACES), rng.choice(WITNESSES))


def drills(seed: int, verdict_share: float) -> Iterator[Row]:
    """Endless look-up drills, and verdicts with the whole story in sight in `verdict_share` of the rows."""
    rng = random.Random(f"drills {seed}")
    for index in range(10**9):
        if rng.random() < verdict_share:
            yield verdict_drill(index, seed)
        else:
            yield look_up_drill(rng, min(STATEMENTS, 2 + index * (STATEMENTS - 2) // FULL_STORY_AFTER))


def look_up_drill(rng: random.Random, statements: int) -> Row:
    """Quote a statement for each of several places; in half of the rows every place has one statement only."""
    places = rng.sample(PLACES, statements) if rng.random() < 0.5 else rng.choices(PLACES, k=statements)
    story = [Statement(place, witness) for place, witness in zip(places, rng.sample(WITNESSES, statements), strict=True)]
    answers = (rng.choice(PLACES), rng.choice(PLACES))
    question = Question("drill", "drill", f"where is the {rng.choice(OBJECTS)} ?", answers, "")
    row: list[Segment] = [(f"story : {passage_of(story)} {task(question, answers)}", False)]
    asked = sorted(set(places), key=lambda _: rng.random())
    for place in asked[:5]:
        seat = rng.choice(list(Seat))
        found = rng.choice([statement for statement in story if statement.place == place])
        row += [(f"argue {seat} : {place} {turn(seat)}", False), (f"{as_sampled(found)} {END}", True)]
    return row


def verdict_drill(index: int, seed: int) -> Row:
    """Name the right answer with the whole story in sight."""
    question, correct = question_at("teaching", index % 1_000_000, seed)
    return [(verdict_prompt(question, question.answers, sees_passage=True), False), (question.answers[correct], True)]


def advocate_rows(seed: int, advocate: Advocate) -> Iterator[Row]:
    """Endless debates of two clumsy advocates from one seat's side, in the row format of the real game.

    A third each: sequential debate, simultaneous debate, consultancy; one to three speeches per seat.
    """
    rng = random.Random(f"advocates {seed}")
    for index in range(10**9):
        question, _ = question_at("teaching", index % 1_000_000, seed)
        yield advocate_row(rng, question, advocate)


def advocate_row(rng: random.Random, question: Question, advocate: Advocate) -> Row:
    """One seat's view of a debate (the seat's own speeches are taught, the opponent's are read)."""
    form = rng.choice(("sequential", "simultaneous", "consultancy"))
    seat = Seat.A if form == "consultancy" else rng.choice(list(Seat))
    answers = question.answers if rng.random() < 0.5 else question.answers[::-1]
    own, others = answers if seat is Seat.A else answers[::-1]
    story = statements_of(question.passage)
    row: list[Segment] = [(debater_opening(question, answers, seat), False)]
    for round_index in range(rng.randint(1, 3)):
        hears_first = form == "sequential" and seat is Seat.B
        if form != "consultancy" and (round_index or hears_first):
            reply = as_judged(advocate.speak(rng, story, others), question.passage)
            row.append((heard(seat.other, reply), False))
        row += [(turn(seat), False), (f"{as_sampled(advocate.speak(rng, story, own))} {END}", True)]
    return row


@dataclass(frozen=True, slots=True)
class Debate:
    """A finished base debate as its judge may read it."""

    question: Question
    correct: int
    """Index of the right one of `question.answers`."""
    answers: tuple[str, str]
    """What seat A and seat B defend."""
    speeches: tuple[tuple[Seat, str], ...]
    """In order of time, as judged."""

    def prompt(self, swapped: bool, speeches: int | None = None) -> str:
        """What a judge reads of the first `speeches` speeches, with the seats relabelled if `swapped`."""
        answers = self.answers[::-1] if swapped else self.answers
        said = [(seat.other if swapped else seat, text) for seat, text in self.speeches[:speeches]]
        return verdict_prompt(self.question, answers, said)


def verdict_rows(seed: int, debates: Sequence[Debate], naive: float = 0.05, expert: float = 0.25) -> Iterator[Row]:
    """Endless verdicts on base debates and their beginnings, in both orders; some without speeches, some with the story."""
    rng = random.Random(f"verdicts {seed}")
    while True:
        debate = rng.choice(debates)
        swapped, kind = rng.random() < 0.5, rng.random()
        answers = debate.answers[::-1] if swapped else debate.answers
        if kind < naive + expert:
            prompt = verdict_prompt(debate.question, answers, sees_passage=kind < expert)
        else:
            length = len(debate.speeches)
            prompt = debate.prompt(swapped, length if rng.random() < 0.6 else rng.randint(1, length))
        yield [(prompt, False), (debate.question.answers[debate.correct], True)]
