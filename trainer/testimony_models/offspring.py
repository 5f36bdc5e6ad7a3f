"""The two judges that start from the reward judge's weights: one that writes, and one with a classification head."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from rostrum.rewards.judges import JudgeSettings
from rostrum.rewards.judges.head import Settings as HeadSettings
from rostrum.rewards.judges.rating import Settings as RatingSettings
from rostrum.rewards.judges.verdict import Settings as VerdictSettings
from rostrum.trainer import setup
from rostrum.trainer.models import loading
from rostrum.trainer.testimony_models import checks
from rostrum.trainer.testimony_models.architectures import head_from, save, writer_from
from rostrum.trainer.testimony_models.corpora import Case
from rostrum.trainer.testimony_models.embedded_cards import Offspring, offspring_card
from rostrum.trainer.testimony_models.teach import Course, Progress, teach, teach_head
from rostrum.trainer.testimony_models.vocabulary import WRITER_WORDS, build_tokenizer
from rostrum.trainer.testimony_models.writings import Opined, classified_rows, seat_drills, written_rows

MOST_WORDS = 64
"""In what the writer writes."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What both are taught from and examined on."""

    judge: Path
    """The reward judge."""
    debates: Sequence[Opined]
    kinds: Mapping[str, Sequence[Case]]
    """Debates for the cards, by what is read."""
    seed: int


def build_writer(folder: Path, data: TrainingData, drill: Course, course: Course, progress: Progress) -> None:
    """Teach the judge's weights whose answer is whose, then to write verdicts and ratings with their reasons."""
    started = time.perf_counter()
    writer, tokenizer = writer_from(loading.load_model(str(data.judge)), data.seed), build_tokenizer(WRITER_WORDS)
    drills, rows = (make(data.seed, data.debates) for make in (seat_drills, written_rows))
    drilled = teach(writer, tokenizer, drills, drill, f"{folder.name}, sides", progress)
    steps = teach(writer, tokenizer, rows, course, folder.name, progress)
    save(writer, folder, tokenizer)
    making = _making(writer, data, course, steps, started, drilled)
    common = {"name": folder.name, "model": str(folder), "prompts": "testimony", "max_tokens": MOST_WORDS}
    verdict, rating = VerdictSettings(kind="verdict", **common), RatingSettings(kind="rating", **common)
    offspring_card(folder, making, {"verdict": examine(verdict, data), "rating": examine(rating, data)})


def build_head(folder: Path, data: TrainingData, course: Course, progress: Progress) -> None:
    """Teach the judge's weights to name the side that is right."""
    started = time.perf_counter()
    head, tokenizer = head_from(loading.load_model(str(data.judge)), data.seed), build_tokenizer()
    steps = teach_head(head, tokenizer, classified_rows(data.seed, data.debates), course, folder.name, progress)
    save(head, folder, tokenizer)
    making = _making(head, data, course, steps, started)
    settings = HeadSettings(kind="head", name=folder.name, model=str(folder), prompts="testimony")
    offspring_card(folder, making, {"class": examine(settings, data)})


def examine(settings: JudgeSettings, data: TrainingData) -> dict[str, checks.JudgeFigures]:
    """Return the figures of a saved judge by what it reads."""
    judge = setup.judge(settings)
    return {kind: checks.figures_of(judge, cases) for kind, cases in data.kinds.items()}


def _making(
    model: PreTrainedModel, data: TrainingData, course: Course, steps: int, started: float, drilled: int = 0
) -> Offspring:
    seconds = time.perf_counter() - started
    return Offspring(data.seed, model.num_parameters(), course, steps, seconds, len(data.debates), drilled)
