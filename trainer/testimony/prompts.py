"""What the models of the testimony world read, word for word as the templates in envs/prompts/testimony render it."""

from collections.abc import Sequence

from envs.testimony.world import Statement
from envs.types import Question, Seat


def task(question: Question, answers: tuple[str, str]) -> str:
    """The question with its answers in presentation order."""
    return f"question : {question.text} A : {answers[0]} B : {answers[1]}"


def debater_opening(question: Question, answers: tuple[str, str], seat: Seat) -> str:
    """What a debater reads before the first speech of its row; `answers` are those of seat A and seat B."""
    own = answers[0] if seat is Seat.A else answers[1]
    return f"story : {question.passage} {task(question, answers)} argue {seat} : {own}"


def turn(seat: Seat) -> str:
    """Asks the seat to speak."""
    return f"{seat} says :"


def heard(seat: Seat, speech: str) -> str:
    """A speech of `seat` as the opponent and the judge read it."""
    return f"{seat} said : {speech}"


def as_sampled(statement: Statement) -> str:
    """A speech as a debater writes it."""
    return f"<quote> {statement} </quote>"


def as_judged(statement: Statement, passage: str) -> str:
    """A speech after the environment has looked the quote up."""
    tag = "v_quote" if f"{statement} ." in passage else "u_quote"
    return f"<{tag}> {statement} </{tag}>"


def verdict_prompt(
    question: Question,
    answers: tuple[str, str],
    speeches: Sequence[tuple[Seat, str]] = (),
    sees_passage: bool = False,
) -> str:
    """What a judge reads before it names an answer; `speeches` in the order of time, as judged."""
    story = f"story : {question.passage} " if sees_passage else ""
    debate = "".join(f" {heard(seat, text)}" for seat, text in speeches)
    return f"{story}{task(question, answers)}{debate} verdict :"
