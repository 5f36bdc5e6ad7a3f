"""Weights & Biases, if the configuration asks for it; metrics.jsonl is written either way."""

import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from rostrum.envs.files import make_folder, write_atomically
from rostrum.trainer.config import Config
from rostrum.trainer.reading import Open, read_json

RECORD = "wandb.json"
"""The id of the run at Weights & Biases and the last iteration that it was told of."""


class _Record(Open):
    """What is counted on in wandb.json."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    logged: Annotated[int, Field(ge=0, lt=2**31)]


class Tracker:
    """Logs an iteration's metrics; does nothing with wandb.mode=disabled.

    A run that is resumed goes on as the same run of Weights & Biases. Iterations that are played again are not logged
    again: its history only ever grows.
    """

    def __init__(self, settings: Config) -> None:
        self._run = None
        self._path = settings.output / RECORD
        if settings.wandb.mode != "disabled":
            import wandb

            record = (
                read_json(self._path, _Record) if self._path.exists() else _Record(id=secrets.token_hex(4), logged=0)
            )
            self._id, self._logged = record["id"], record["logged"]
            self._keep()
            make_folder(settings.output / "wandb")  # wandb itself would follow a link there
            self._run = wandb.init(
                id=self._id,
                resume="allow" if settings.wandb.mode == "online" else None,
                project=settings.wandb.project,
                name=settings.output.name,
                mode=settings.wandb.mode,
                group=settings.wandb.group,
                dir=str(settings.output),
                config=settings.model_dump(mode="json"),
                allow_val_change=True,
            )

    def log(self, row: dict[str, Any]) -> None:
        """Log one iteration, unless it has been."""
        if self._run is not None and row["iteration"] > self._logged:
            self._run.log(row, step=row["iteration"])
            self._logged = row["iteration"]
            self._keep()

    def evaluated(self, figures: Mapping[str, Any]) -> None:
        """Put what an evaluation came to beside the curves."""
        if self._run is not None:
            self._run.summary.update(figures)

    def alert(self, title: str, text: str) -> None:
        """Tell whoever has asked Weights & Biases to be told."""
        if self._run is not None:
            self._run.alert(title=title, text=text)

    def close(self) -> None:
        """Flush what is left."""
        if self._run is not None:
            self._run.finish()

    def _keep(self) -> None:
        write_atomically(self._path, json.dumps({"id": self._id, "logged": self._logged}))
