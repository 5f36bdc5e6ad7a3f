"""Makes a study from the debates of evaluated runs."""

import json
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rostrum.envs import transcripts
from rostrum.envs.questions.splits import digest
from rostrum.envs.types import Transcript
from rostrum.rewards.people import database
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.people.debates import bare, id_of
from rostrum.trainer.config import Config
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.browsed import TRANSCRIPTS
from rostrum.trainer.evaluation.people.double_check import Checked, Said, pick
from rostrum.trainer.evaluation.people.study_power import Design
from rostrum.trainer.evaluation.verdict_table import SELF, read_verdicts
from rostrum.trainer.reading import Open, valid

PARTS = ("test", "teach", "neither")
"""What stories are dealt into."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Debates of one checkpoint of one run."""

    run: str
    checkpoint: str
    iteration: int
    protocol: str
    debates: Mapping[str, Sequence[Transcript]]
    """By question: both seatings."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A debate of a study."""

    phase: str
    condition: int
    transcript: Transcript
    correct: str
    wanted: int
    checked: Checked | None = None
    """What a model said of it, where people are to check that."""


class _About(Open):
    checkpoint: str
    iteration: int
    matchup: str


def part_of(story: str) -> str:
    """Return what a story may be used for: the same for every study."""
    return PARTS[int(digest(f"people:{story}")[:8], 16) % len(PARTS)]


def conditions_of(folder: Path, config: Config, checkpoints: str, run: str) -> list[Condition]:
    """Return the conditions of an evaluated run, which the study calls `run`, the earliest checkpoint first.

    Raises:
        StudyError: it has not been evaluated, or by a release that kept no debates.
    """
    found: dict[tuple[str, int], dict[str, list[Transcript]]] = {}
    for path in sorted((folder / "evaluation").glob(f"*{TRANSCRIPTS}")):
        for record, extra in transcripts.read_with_extra(path):
            about = valid(extra, _About, path)
            if isinstance(record, Transcript) and about["matchup"] == SELF:
                of = found.setdefault((about["checkpoint"], about["iteration"]), {})
                of.setdefault(record.question.id, []).append(record)
    if not found:
        raise StudyError(
            f"{folder} holds no evaluated debates: evaluate it first with `rostrum evaluate run={folder}`."
        )
    in_order = sorted(found, key=lambda each: each[1])
    if checkpoints == "ends":
        in_order = list(dict.fromkeys([in_order[0], in_order[-1]]))
    return [
        Condition(run, name, iteration, config.protocol.name, found[name, iteration]) for name, iteration in in_order
    ]


def choose(
    conditions: Sequence[Condition],
    right: Mapping[tuple[str, bool], str],
    people: People,
    seed: int,
    said: Sequence[Mapping[tuple[str, bool], Said]] = (),
) -> list[Chosen]:
    """Return the debates of a study: those of training and qualification under the first condition, those of the main
    phase on the same questions under every condition, and gold ones under one after the other; `right` says by question
    and seating which side has the right answer. No story is in two phases. Which seating of a question is
    judged is drawn, as often one as the other.

    With what a model `said` of each condition's debates, those of the main phase are chosen for people to check it
    (`double_check.pick`): `people.questions` debates, whatever their condition.

    Raises:
        StudyError: there are not so many questions about stories for this purpose that all conditions have.
    """
    common = set.intersection(*(set(each.debates) for each in conditions))
    stories: dict[str, list[str]] = {}
    for question in sorted(common):
        story = conditions[0].debates[question][0].question.story_id
        if part_of(story) == people.purpose:
            stories.setdefault(story, []).append(question)
    rng = random.Random(f"people:{seed}")
    waiting = sorted(stories)
    rng.shuffle(waiting)
    chosen: list[Chosen] = []
    for phase, count in (
        ("training", people.training),
        ("qualification", people.qualification),
        *([("main", people.questions)] if not said else []),
        ("gold", people.gold),
    ):
        asked = list(_taken(waiting, stories, count))
        if len(asked) < count:
            raise StudyError(
                f"Only {len(asked)} questions are left for the {phase} phase and {count} are wanted: evaluate on more "
                "questions (questions.heldout), or lower people.questions, people.training, people.qualification or "
                "people.gold."
            )
        seatings = [n % 2 for n in range(count)]
        rng.shuffle(seatings)
        wanted = people.verdicts if phase == "main" else people.judges
        for number, (question, seating) in enumerate(zip(asked, seatings, strict=True)):
            for condition in _under(phase, number, len(conditions)):
                played = sorted(conditions[condition].debates[question], key=lambda debate: debate.swapped_seats)
                debate = bare(played[seating % len(played)])
                chosen.append(Chosen(phase, condition, debate, right[question, debate.swapped_seats], wanted))
    if said:
        left = {question for story in waiting for question in stories[story]}
        chosen += _to_check(conditions, right, people, rng, said, left)
    return chosen


def _to_check(
    conditions: Sequence[Condition],
    right: Mapping[tuple[str, bool], str],
    people: People,
    rng: random.Random,
    said: Sequence[Mapping[tuple[str, bool], Said]],
    left: Collection[str],
) -> Iterator[Chosen]:
    """Yield the debates of the main phase, about some questions, by which people check a model."""
    played = {
        (number, question, debate.swapped_seats): debate
        for number, condition in enumerate(conditions)
        for question in left
        for debate in condition.debates[question]
    }
    known = {key: said[key[0]][key[1:]] for key in played if key[1:] in said[key[0]]}
    for key, part in pick(known, people.questions, rng):
        checked = Checked(people.check or "", known[key].p, part)
        yield Chosen("main", key[0], bare(played[key]), right[key[1:]], people.verdicts, checked)


def _under(phase: str, number: int, conditions: int) -> Iterable[int]:
    """Return the conditions under which a question is judged: all in the main phase, and each in turn for gold debates,
    which so look like the others."""
    if phase == "main":
        return range(conditions)
    return (number % conditions,) if phase == "gold" else (0,)


def _taken(waiting: list[str], stories: Mapping[str, Sequence[str]], count: int) -> Iterator[str]:
    """Take whole stories until there are so many questions, and yield these."""
    left = count
    while left > 0 and waiting:
        for question in stories[waiting.pop()][:left]:
            left -= 1
            yield question


def write(folder: Path, conditions: Sequence[Condition], chosen: Iterable[Chosen], guidelines: str, now: float) -> None:
    """Make the study's database; one that was not finished is not left behind."""
    connection = database.create(folder)
    with database.transaction(connection):
        connection.execute("INSERT INTO guidelines VALUES (1, ?, ?)", (guidelines, now))
        connection.executemany(
            "INSERT INTO condition (id, run, checkpoint, matchup, protocol) VALUES (?, ?, ?, ?, ?)",
            [(n, each.run, each.checkpoint, SELF, each.protocol) for n, each in enumerate(conditions)],
        )
        placed = list(chosen)
        random.Random(len(placed)).shuffle(placed)  # the number of a debate tells nothing of its condition
        for number, each in enumerate(placed):
            shown, asked = id_of(each.transcript), each.transcript.question
            stored = json.dumps(transcripts.to_json(each.transcript))
            connection.execute(
                "INSERT INTO debate VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, shown, each.phase, each.condition, asked.id, asked.story_id, stored, each.wanted),
            )
            connection.execute("INSERT INTO answer VALUES (?, ?)", (number, each.correct))
            if each.checked is not None:
                said = (number, each.checked.judge, each.checked.p, each.checked.part)
                connection.execute("INSERT INTO model_verdict VALUES (?, ?, ?, ?)", said)
    connection.close()


def right_seats(runs: Iterable[Path]) -> dict[tuple[str, bool], str]:
    """Return which side defends the right answer, by question and seating, as evaluations of these runs know it."""
    found: dict[tuple[str, bool], str] = {}
    for run in runs:
        table = read_verdicts(run / "verdicts.parquet")[["question_id", "swapped_seats", "correct_seat"]]
        found |= {(row[0], bool(row[1])): row[2] for row in table.drop_duplicates().itertuples(index=False)}
    return found


def cost(chosen: Sequence[Chosen], people: People) -> dict[str, Any]:
    """Return how many verdicts a study wants, and the hours and dollars that they are taken to need."""
    verdicts = sum(each.wanted for each in chosen)
    hours = verdicts * people.minutes / 60
    return {"verdicts": verdicts, "hours": hours, "dollars": hours * people.wage}


def possible(chosen: Iterable[Chosen], judges: int) -> tuple[int, int, int]:
    """Return how many verdicts of the main phase so many people can give, of whom none meets a question twice, how
    many are wanted, and how many people can give all."""
    wanted: dict[str, int] = {}
    for each in chosen:
        if each.phase == "main":
            question = each.transcript.question.id
            wanted[question] = wanted.get(question, 0) + each.wanted
    return sum(min(judges, n) for n in wanted.values()), sum(wanted.values()), max(wanted.values(), default=0)


def design_of(chosen: Iterable[Chosen], conditions: int, people: People) -> Design:
    """Return who judges what in the main phase, for the power of the study."""
    stories = {
        each.transcript.question.id: each.transcript.question.story_id for each in chosen if each.phase == "main"
    }
    numbers = {story: number for number, story in enumerate(dict.fromkeys(stories.values()))}
    return Design(people.judges, tuple(numbers[story] for story in stories.values()), conditions, people.verdicts)
