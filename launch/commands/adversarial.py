"""`rostrum judge adversarial`: debaters are trained against the judge, the judge is retrained on their debates, and at
the end every judge meets every round's debaters.

    debaters-1/ debaters-2/ ...   runs, each trained in a process of its own
    judges/judge-1/ ...           retrained judges, each a model folder
    debates/train-0.jsonl ...     labelled debates of the training split, by debaters
    debates/heldout-0.jsonl ...   the same questions for all: for the grid alone
    grid.json grid.svg grid.html

What is finished is not done again. Debaters never see a gold label; judges do, between the debaters' trainings.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rostrum.envs.files import write_atomically
from rostrum.envs.questions.base import load_questions
from rostrum.launch import compose, environment, figures, manifest, saved, side_by_side, trust
from rostrum.launch.arms import Training
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.launch.results import show_root
from rostrum.rewards import labelled
from rostrum.rewards.judges import AnyJudge, JudgeSettings
from rostrum.rewards.labelled import Labelled
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.progress import say
from rostrum.trainer.reading import Open, read_json, read_yaml, valid
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.terminal import Console

HELDOUT, TRAIN = "heldout", "train"


class Temperature(Open):
    """What is counted on in a judge's calibration."""

    temperature: float


class Look(Open):
    """What is counted on in what a judge's training measured."""

    loss: float
    step: int


class TrainedJudge(Open):
    """What is counted on in training.json."""

    kept: Look
    evaluations: Annotated[list[Look], Field(min_length=1)]
    held_out: dict[str, Any]
    calibration: Temperature


class Part(Open):
    """Debates of one set of debaters."""

    debates: int
    debaters: int


class Told(Open):
    """What is counted on in judge-N.json."""

    judge: int
    collected: dict[str, int]
    mix: list[Part]


def adversarial(overrides: Sequence[str]) -> int:
    """Run what is not finished yet, then write the grid; return 0, or the code of a training that failed."""
    given = list(overrides) if compose.sets(overrides, "experiment") else ["experiment=adversarial", *overrides]
    words = [f"adversarial.{word}" if word.startswith("rounds=") else word for word in given]
    config = compose.load(words)
    if config.learners:
        raise LaunchError("The rounds train one debater against each judge: leave learners out.")
    environment.silence()
    with saved.reserved(config.output), continued_with(" ".join(["rostrum judge adversarial", *overrides])):
        rounds = Rounds(config)
        rounds.begin()
        try:
            grid = rounds.finish()
        except subprocess.CalledProcessError as error:
            return side_by_side.failed(error, config.output / str(error.cmd))
        manifest.check_judges(RunFolder(config.output).manifest, config)
        manifest.finish(RunFolder(config.output).manifest)
        root = hashes.write(config.output)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    figures.keep("grid", grid)
    console.print(grid["sentence"])
    console.print(f"Grid: {config.output / 'grid.html'}")
    show_root(root)
    return 0


class Rounds:
    """Judges 0 to N and debaters 0 to N + 1 in one folder; 0 are those that the configuration names."""

    def __init__(self, config: Config) -> None:
        self.config, self.folder = config, config.output
        self.last = config.adversarial.rounds

    def begin(self) -> None:
        """Check everything, and that what is in the folder was made with the same configuration."""
        from rostrum.launch import checks
        from rostrum.trainer.judge_training.training import student_of
        from rostrum.trainer.run_context import RunContext

        run = RunFolder(self.folder)
        if run.config.exists() and (key := saved.difference(saved.run_config(self.folder), self.config)):
            raise LaunchError(f"{self.folder} holds something with another {key}: choose another output=FOLDER.")
        student_of(self.config.judge, self.config.judge_training)
        checks.check(RunContext(self.config))
        self._check_questions()
        manifest.check_judges(run.manifest, self.config)
        if not run.config.exists():
            saved.check_new(self.folder)
            manifest.write(run.manifest, self.config, f"{self.folder.name}: {self.last} rounds")
            compose.save(self.config, run.config)

    def _check_questions(self) -> None:
        """Refuse fewer questions than every round needs to learn from questions of its own.

        Raises:
            LaunchError: the training split has fewer.
        """

        needed = (self.last + 1) * self.config.adversarial.questions
        found = len(load_questions(self.config.questions, TRAIN).questions(TRAIN))
        if found < needed:
            raise LaunchError(
                f"The rounds need {needed:,} training questions and there are {found:,}: lower adversarial.questions "
                "or adversarial.rounds."
            )

    def finish(self) -> dict[str, Any]:
        """Run all rounds, then write the grid."""
        for k in range(self.last + 1):
            self.train_debaters(k + 1)
            if k < self.last:
                self.retrain_judge(k + 1)
        return self.write_grid()

    def judge(self, k: int) -> JudgeSettings:
        """Return the settings of judge k."""
        if k == 0:
            return self.config.judge
        path = self._judge_folder(k) / "judge.yaml"
        settings = read_yaml(path)
        trust.refuse_resolvers(settings, path)
        trust.check(settings, path, [f"prompts={model.prompts}" for model in self.config.judge.needs()])
        any_kind: Any = AnyJudge
        judge: JudgeSettings = valid(trust.without_keys(settings), any_kind, path)
        return judge

    def train_debaters(self, k: int) -> None:
        """Train debaters k, from the base debater, against judge k - 1."""
        update = {"judge": self.judge(k - 1), "output": self.folder / f"debaters-{k}"}
        training = Training(f"debaters-{k}", self.config.model_copy(update=update))
        training.check()
        if not training.trained:
            say(f"debaters {k}: training against judge {k - 1}")
            side_by_side.run([training])

    def retrain_judge(self, k: int) -> None:
        """Train judge k, from the original's weights, on debates of debaters 0 to k."""
        from rostrum.trainer.judge_training.folder import RECORD
        from rostrum.trainer.judge_training.training import train_judge

        if (self._judge_folder(k) / RECORD).exists():
            return
        debates = [self.debates(TRAIN, d) for d in range(k + 1)]
        collected = self._collected(k - 1, debates[k])
        told = {
            "judge": k,
            "collected": collected,
            "mix": [{"debaters": d, "debates": len(part)} for d, part in enumerate(debates)],
        }
        say(f"judge {k}: judge {k - 1} was wrong in {collected['wrong']} and right in {collected['right']} of the new")
        together = [debate for part in debates for debate in part]
        write_atomically(self._told(k), json.dumps(told, indent=1))
        train_judge(self.config, together, self._judge_folder(k))

    def debates(self, split: str, debaters: int) -> list[Labelled]:
        """Return labelled debates of a set of debaters with themselves, played once."""
        path = self.folder / "debates" / f"{split}-{debaters}.jsonl"
        if not path.exists():
            from rostrum.trainer.evaluation.labelled_debates import play_labelled

            policy = RunFolder(self.folder / f"debaters-{debaters}").policy(self.config.iterations)
            count = self.config.adversarial.questions if split == TRAIN else None
            first = debaters * count if count else 0  # questions of its own for each round to teach, the same to test
            labelled.write(path, play_labelled(self.config, split, count, policy if debaters else None, first))
        return labelled.read(path)

    def _collected(self, k: int, debates: Sequence[Labelled]) -> dict[str, int]:
        """Return how judge k fares on new debates of the debaters that were trained against it."""
        import numpy as np

        from rostrum.trainer.judge_training.grid import cell

        right = cell(self._verdicts(k, debates), debates)["correct"]
        return {
            "wrong": int((right == 0).sum()),
            "right": int((right == 1).sum()),
            "undecided": int((right == 0.5).sum()),
            "invalid": int(np.isnan(right).sum()),
        }

    def _verdicts(self, k: int, debates: Sequence[Labelled]) -> Any:
        from rostrum.trainer import setup

        return setup.judge(self.judge(k), self.config).judge([debate.transcript for debate in debates])

    def write_grid(self) -> dict[str, Any]:
        """Compare every judge on the held-out debates of every set of debaters, and write the grid."""
        from rostrum.trainer.judge_training import grid, grid_page

        cells = {}
        for d in range(self.last + 2):
            debates = self.debates(HELDOUT, d)
            for j in range(self.last + 1):
                say(f"grid: judge {j} on debaters {d}")
                cells[j, d] = grid.cell(self._verdicts(j, debates), debates)
        found = grid.figures(cells)
        rounds = [self._round(k) for k in range(1, self.last + 1)]
        title = manifest.read(RunFolder(self.folder).manifest).get("title", self.folder.name)
        grid_page.write(self.folder, title, found, rounds, self.config.adversarial.questions)
        return found

    def _round(self, k: int) -> dict[str, Any]:
        """Return what judge k learned from, and what became of it."""
        from rostrum.trainer.judge_training.folder import RECORD

        record, told = read_json(self._judge_folder(k) / RECORD, TrainedJudge), read_json(self._told(k), Told)
        kept = {name: record[name] for name in ("kept", "evaluations", "held_out")}
        return {**told, **kept, "temperature": record["calibration"]["temperature"]}

    def _judge_folder(self, k: int) -> Path:
        return self.folder / "judges" / f"judge-{k}"

    def _told(self, k: int) -> Path:
        return self.folder / "judges" / f"judge-{k}.json"
