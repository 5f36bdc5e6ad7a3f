"""`rostrum questions ACTION`: what can be asked about a question set before anything is trained on it."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from rostrum.envs.questions.base import StoredQuestions, why_empty
from rostrum.envs.questions.splits import SPLITS
from rostrum.envs.types import Question, QuestionSet
from rostrum.launch import compose
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError, tell
from rostrum.trainer.terminal import visible_json


def questions(words: Sequence[str]) -> int:
    """Carry out the action that the first word names; the others are overrides of the configuration."""
    action, *overrides = words or [""]
    if action not in ACTIONS:
        known = " or ".join(ACTIONS)
        raise LaunchError(f"Write `rostrum questions {known} KEY=VALUE ...`: {action!r} is no action.")
    return ACTIONS[action](overrides)


def _audit(overrides: Sequence[str]) -> int:
    """Print one JSON object on standard output and nothing else there."""
    from rostrum.trainer.evaluation.question_audit import audit

    settings = compose.load(overrides).questions
    questions = settings.load()
    _tell_empty_splits(questions)
    found = {"questions": settings.model_dump(mode="json"), **audit(questions)}
    print(visible_json(json.dumps(found, indent=1, ensure_ascii=False)))
    return 0


def _show(overrides: Sequence[str]) -> int:
    """Print the first `n` questions as they are understood, after all filters: one JSON object a line."""
    rest, number = take(overrides, "n")
    if number is not None and (not number.isdecimal() or not int(number)):
        raise LaunchError(f"n cannot be {number!r}: give how many questions to show, e.g. n=5.")
    questions = compose.load(rest).questions.load()
    _tell_left_out(questions)
    _tell_empty_splits(questions)
    for question, correct in islice(_with_right_answers(questions), int(number or 5)):
        right = None if correct is None else question.answers[correct]
        line: dict[str, object] = {
            "id": question.id,
            "question": question.text,
            "answers": question.answers,
            "right": right,
        }
        print(_json_line(line))
    return 0


def _json_line(record: dict[str, object]) -> str:
    """Return an object as one line, whatever breaks lines; all in ASCII where standard output has no other letters."""
    text = visible_json(json.dumps(record, ensure_ascii=False, allow_nan=False))
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(record, allow_nan=False)
    return text


def _tell_left_out(questions: QuestionSet) -> None:
    """Say on standard error what was left out of the source, and why."""
    account = questions.account() if isinstance(questions, StoredQuestions) else None
    if account is None:
        return
    dropped = {reason: count for reason, count in account.dropped.items() if count}
    told = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in dropped.items()]
    if told:
        tell(f"{sum(dropped.values()):,} of {account.read:,} questions are left out: {', '.join(told)}.")
    if account.options_left_out:
        tell(f"{account.options_left_out:,} options that are no answers of their own are left out.")


def _with_right_answers(questions: QuestionSet) -> Iterator[tuple[Question, int | None]]:
    """Yield the questions with the index of the right answer; those of a file in its order, others split by split."""
    if isinstance(questions, StoredQuestions):
        yield from questions.used()
        return
    for split in SPLITS:
        key = questions.answer_key(split)
        yield from ((question, key[question.id]) for question in questions.questions(split))


def _tell_empty_splits(questions: QuestionSet) -> None:
    for why in filter(None, (why_empty(questions, split) for split in SPLITS)):
        tell(why)


ACTIONS: dict[str, Callable[[Sequence[str]], int]] = {"audit": _audit, "show": _show}
