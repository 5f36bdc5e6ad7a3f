"""The steps of `rostrum labels`, in one folder (`trainer.labels.label_folder`): debates, labels, teaching, outcome."""

import json
from pathlib import Path

from rostrum.envs import transcripts
from rostrum.envs.files import write_atomically
from rostrum.launch import compose, manifest, saved
from rostrum.launch.errors import LaunchError
from rostrum.rewards import labelled
from rostrum.trainer import model_checks
from rostrum.trainer.config import Config
from rostrum.trainer.judge_training.training import student_of
from rostrum.trainer.labels import gather, grid_plan, labels_page
from rostrum.trainer.labels.grid_plan import Cell
from rostrum.trainer.labels.label_folder import LabelFolder
from rostrum.trainer.labels.labels_summary import About, LabelsSummary, Source
from rostrum.trainer.labels.pool import Market
from rostrum.trainer.labels.summarise_labels import summarise, write
from rostrum.trainer.progress import say
from rostrum.trainer.reading import read_json
from rostrum.trainer.store.run_folder import RunFolder


class Sweep:
    """A grid of budgets, shares, arms and seeds in one folder."""

    def __init__(self, config: Config, run: Path) -> None:
        self._config, self._run, self._folder = config, run, LabelFolder(config.output)
        self._policy = RunFolder(run).policy(RunFolder(run).final(config.iterations))
        self._cheap, self._dear = gather.sources(config)

    def begin(self) -> None:
        """Check everything, and that what is in the folder was made with the same configuration."""
        config, folder = self._config, RunFolder(self._config.output)
        if folder.config.exists() and (key := saved.difference(saved.run_config(folder.path), config)):
            raise LaunchError(f"{folder.path} holds something with another {key}: choose another output=FOLDER.")
        student = student_of(config.judge, config.judge_training)
        model_checks.check_model(student.judge.model, student.judge.has_head, config.judge_training.lora, trained=True)
        if not self._policy.is_dir():
            raise LaunchError(f"{self._policy} is not there: the last checkpoint's debates are judged and labelled.")
        self._prices()
        gather.check_questions(config)
        gather.heldout(config, self._run, set())
        manifest.check_judges(folder.manifest, config)
        if not folder.config.exists():
            saved.check_new(folder.path, [self._folder.prices.name])
            write_atomically(self._folder.prices, json.dumps(self._prices()))
            manifest.write(folder.manifest, config, f"What labels cost ({folder.path.name})")
            compose.save(config, folder.config)

    def _prices(self) -> tuple[float, float]:
        """Return what a label of the cheaper and of the dearer source costs, or did when the sweep began."""
        if self._folder.prices.exists():
            return read_json(self._folder.prices, tuple[float, float])
        labelling = gather.LabellingRun(self._config)
        cheap, dear = self._cheap.priced(labelling), self._dear.priced(labelling)
        gather.check_prices(self._config, cheap, dear)
        return cheap, dear

    def finish(self) -> LabelsSummary:
        """Do what is not done yet, then write what came out."""
        from rostrum.launch import label_trials

        self._collect()
        cells = self._cells()
        self._buy(cells)
        trials = grid_plan.trials(cells)
        say(f"{len(cells):,} cells of the grid come to {len(trials):,} judges")
        label_trials.finish(self._folder, self._config, trials)
        return self._report(cells)

    def _collect(self) -> None:
        """Play the debates on offer, and keep the held-out ones."""
        folder = self._folder
        if not folder.pool.exists():
            own = [debate for source in (self._cheap, self._dear) for debate in source.own()]
            transcripts.write(folder.pool, [*gather.play_pool(self._config, self._policy), *own])
        stories = {debate.question.story_id for debate in folder.debates}
        for name, debates in gather.heldout(self._config, self._run, stories).items():
            if not folder.heldout(name).exists():
                labelled.write(folder.heldout(name), debates)

    def _cells(self) -> list[Cell]:
        """Return the grid, by what was for sale when labels were bought: a study goes on meanwhile."""
        bought = self._folder.bought.exists()
        sold = self._folder.sold if bought else gather.unlabelled(self._config, self._folder.debates)
        return grid_plan.cells(self._config.labels, *self._prices(), Market(sold, 0).offer)

    def _buy(self, cells: list[Cell]) -> None:
        if not self._folder.bought.exists():
            say(f"asking {self._cheap.name} and {self._dear.name} for labels")
            empty = gather.unlabelled(self._config, self._folder.debates)
            self._folder.write_bought(gather.buy(self._config, empty, cells))

    def _report(self, cells: list[Cell]) -> LabelsSummary:
        """Put the outcomes together and write what came out."""
        config, (cheap, dear) = self._config, self._prices()
        about = About(
            title=f"What labels cost ({config.output.name})",
            cheap=Source(name=self._cheap.name, kind=self._cheap.kind, price=cheap),
            dear=Source(name=self._dear.name, kind=self._dear.kind, price=dear),
            pool=len(self._folder.debates),
            judge=config.judge.name,
        )
        found = summarise(self._folder.gathered(grid_plan.trials(cells)), grid_plan.table(cells), about)
        write(config.output, found)
        labels_page.write(config.output, found)
        return found
