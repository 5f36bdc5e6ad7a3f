"""Published human debates as a study: what Khan et al. (2024) and Michael et al. (NYU, 2023) keep of a judged debate.

Shapes are those of the code that writes and reads them, one judged debate a line of JSON:

    khan  a judgement joined with its debate: `confidence_correct` (percent, or a share up to 1), `explanation`, `user`,
          and `transcript`: question, story, story_title, answers {correct, incorrect}, swap, rounds [{correct,
          incorrect}]
    nyu   storyId, storyTitle, story, question, answers, correctAnswerIndex, and turns [{role, index, text,
          probabilities}], of which the last one of the judge is the verdict

A line is a stranger's: what is not as it must be is refused with its number.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rostrum.envs import transcripts
from rostrum.envs.fingerprints import record_hash
from rostrum.envs.text.quotes import count_words, verify
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.people import database
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import id_of

LONGEST_FILE, LONGEST_TEXT, MOST_ROUNDS = 2**30, 1_000_000, 50
"""Bytes of a file, characters of a story or speech, and rounds of a debate, at the most."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A published debate with one person's verdict."""

    transcript: Transcript
    correct: Side
    judge: str
    p: float
    """P(answer of side A)."""
    explanation: str
    by_round: tuple[float, ...] = ()


class RowError(ValueError):
    """A row that is not as it must be; the message says what of it."""


def read(path: Path, shape: str) -> tuple[list[Judged], int]:
    """Return the judged debates of a file, and how many rows were left out since only one side speaks in them.

    Raises:
        StudyError: it is no such file; the first row that is wrong is named.
    """
    if shape not in SHAPES:
        raise StudyError(f"format={shape} is not known: choose among {', '.join(SHAPES)}.")
    if not path.is_file() or path.stat().st_size > LONGEST_FILE:
        raise StudyError(f"{path} is no file of at most 1 GiB: give one with a judged debate on each line.")
    found, left_out = list[Judged](), 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                judged = SHAPES[shape](_object(row, "the row"), number)
            except (RowError, ValueError, RecursionError) as error:
                why = str(error) if isinstance(error, RowError) else "it is no JSON"
                raise StudyError(f"{path}, row {number}: {why}; mend or remove the row.") from None
            if judged is None:
                left_out += 1
            else:
                found.append(judged)
    if not found:
        raise StudyError(f"{path} holds no judged debate between two sides: give another file.")
    return found, left_out


def write(folder: Path, judged: Sequence[Judged], source: str, now: float) -> int:
    """Write the database of a study of published debates; return how many verdicts were left out, of people who had
    judged the question before."""
    connection = database.create(folder)
    left_out = 0
    with database.transaction(connection):
        connection.execute("INSERT INTO guidelines VALUES (1, 'Published debates: judged elsewhere.', ?)", (now,))
        connection.execute("INSERT INTO condition VALUES (0, ?, 'published', 'self', 'debate')", (source,))
        debates, people, taken = dict[str, int](), dict[str, str](), set[tuple[str, str]]()
        for each in judged:
            question = each.transcript.question
            shown = id_of(each.transcript)
            if shown not in debates:
                debates[shown] = number = len(debates)
                stored = json.dumps(transcripts.to_json(each.transcript))
                row = (number, shown, "main", 0, question.id, question.story_id, stored, 1)
                connection.execute("INSERT INTO debate VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
                connection.execute("INSERT INTO answer VALUES (?, ?)", (number, each.correct))
            if each.judge not in people:
                people[each.judge] = f"published-{len(people) + 1}"
                connection.execute(
                    "INSERT INTO judge (id, number, state) VALUES (?, ?, 'finished')", (people[each.judge], len(people))
                )
            if (each.judge, question.id) in taken:
                left_out += 1
                continue
            taken.add((each.judge, question.id))
            _verdict(connection, debates[shown], question.id, people[each.judge], each, now)
    connection.close()
    return left_out


def _verdict(connection: Any, debate: int, question: str, judge: str, each: Judged, now: float) -> None:
    (number,) = connection.execute("SELECT count(*) FROM place WHERE debate = ?", (debate,)).fetchone()
    token = f"{judge}-{debate}-{number}"
    (place,) = connection.execute(
        "INSERT INTO place (token, debate, question, judge, number, first, guidelines, state, given, expires) "
        "VALUES (?, ?, ?, ?, ?, 'A', 1, 'done', ?, ?) RETURNING id",
        (token, debate, question, judge, number, now, now),
    ).fetchone()
    for round_, p in enumerate(each.by_round):
        connection.execute("INSERT INTO step VALUES (?, ?, ?, NULL, 0, ?)", (place, round_, p, now))
    connection.execute(
        "INSERT INTO verdict (place, key, p, explanation, active, on_page, at) VALUES (?, ?, ?, ?, NULL, 0, ?)",
        (place, token, each.p, each.explanation, now),
    )


def _khan(row: Mapping[str, Any], number: int) -> Judged | None:
    told = _object(row.get("transcript"), "transcript")
    answers = _object(told.get("answers"), "transcript.answers")
    correct, incorrect = (_text(answers.get(name), f"transcript.answers.{name}") for name in ("correct", "incorrect"))
    if not isinstance(told.get("swap"), bool):
        raise RowError("transcript.swap must be true or false")
    right = Side.B if told["swap"] else Side.A
    rounds = []
    for place, said in enumerate(_list(told.get("rounds"), "transcript.rounds")):
        by = _object(said, f"transcript.rounds[{place}]")
        rounds.append({right: by.get("correct"), right.other: by.get("incorrect")})
    confidence = _number(row.get("confidence_correct"), "confidence_correct", 100)
    p_right = confidence / 100 if confidence > 1 else confidence
    sides = {right: correct, right.other: incorrect}
    debate = _debate(told.get("question"), told.get("story"), told.get("story_title"), sides, rounds)
    if debate is None:
        return None
    judge = str(row.get("user") or f"row {number}")
    why = _text(row.get("explanation") or "", "explanation", empty=True)
    return Judged(debate, right, judge, p_right if right is Side.A else 1 - p_right, why)


def _nyu(row: Mapping[str, Any], number: int) -> Judged | None:
    answers = [_text(answer, "answers") for answer in _list(row.get("answers"), "answers")]
    if len(answers) != 2:
        raise RowError(f"answers must be two, not {len(answers)}")
    index = row.get("correctAnswerIndex")
    if index not in (0, 1) or isinstance(index, bool):
        raise RowError("correctAnswerIndex must be 0 or 1")
    said: dict[Side, list[str]] = {side: [] for side in Side}
    beliefs, why = list[float](), ""
    for place, turn in enumerate(_list(row.get("turns"), "turns")):
        of = _object(turn, f"turns[{place}]")
        if str(of.get("role", "")).lower().startswith("judge"):
            why = _text(of.get("text") or "", f"turns[{place}].text", empty=True)
            if of.get("probabilities") is not None:
                beliefs.append(_belief(of["probabilities"], f"turns[{place}].probabilities"))
        else:
            if of.get("index") not in (0, 1) or isinstance(of.get("index"), bool):
                raise RowError(f"turns[{place}].index must be 0 or 1")
            said[Side.B if of["index"] else Side.A].append(_text(of.get("text"), f"turns[{place}].text"))
    if not beliefs:
        raise RowError("no turn of the judge has probabilities, so there is no verdict")
    count = max(map(len, said.values()))
    rounds = [{side: texts[n] if n < len(texts) else None for side, texts in said.items()} for n in range(count)]
    sides = dict(zip(Side, answers, strict=True))
    debate = _debate(row.get("question"), row.get("story"), row.get("storyId") or row.get("storyTitle"), sides, rounds)
    if debate is None:
        return None
    judge = str(row.get("judge") or f"row {number}")
    return Judged(debate, Side.B if index else Side.A, judge, beliefs[-1], why, tuple(beliefs[:-1]))


SHAPES: Mapping[str, Callable[[Mapping[str, Any], int], Judged | None]] = {"khan": _khan, "nyu": _nyu}
"""How a row of each format is read."""


def _debate(
    question: Any, story: Any, title: Any, answers: Mapping[Side, str], rounds: Sequence[Mapping[Side, Any]]
) -> Transcript | None:
    """Return a debate as judges of ours read it: quotes looked up in the story anew; None if one side never speaks."""
    asked, passage = _text(question, "question"), _text(story or "", "story", empty=True)
    if answers[Side.A] == answers[Side.B]:
        raise RowError("both answers are the same")
    if not rounds or len(rounds) > MOST_ROUNDS:
        raise RowError(f"a debate has 1 to {MOST_ROUNDS} rounds, not {len(rounds)}")
    if any(all(said[side] is None for said in rounds) for side in Side):
        return None
    speeches = tuple(
        _speech(side, 2 * number + (side is Side.B), _text(said[side], f"round {number + 1}, side {side}"), passage)
        for number, said in enumerate(rounds)
        for side in Side
        if said[side] is not None
    )
    pair = (answers[Side.A], answers[Side.B])
    known = (min(pair), max(pair))  # in an order that tells nothing
    name = str(title) if title else record_hash(passage or asked)[:16]
    about = Question(record_hash([name, asked, *known])[:16], name, asked, known, passage)
    return Transcript(about, Protocol("debate", rounds=len(rounds)), pair, pair != known, speeches)


def _speech(side: Side, turn: int, raw: str, passage: str) -> Speech:
    plain = raw.replace("v_quote>", "quote>").replace("u_quote>", "quote>")
    text, quotes = verify(plain, passage)
    return Speech(side.value, side, turn, text, plain, count_words(plain), quotes)


def _belief(value: Any, name: str) -> float:
    pair = [_number(one, name, 1) for one in _list(value, name)]
    if len(pair) != 2 or not math.isclose(sum(pair), 1, abs_tol=0.02):
        raise RowError(f"{name} must be two shares that add up to 1")
    return pair[0] / sum(pair)


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RowError(f"{name} must be an object")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise RowError(f"{name} must be a list")
    return value


def _number(value: Any, name: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise RowError(f"{name} must be a number from 0 to {most:g}")
    return float(value)


def _text(value: Any, name: str, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not (empty or value.strip()):
        raise RowError(f"{name} must be a text of 1 to {LONGEST_TEXT:,} characters")
    return value
