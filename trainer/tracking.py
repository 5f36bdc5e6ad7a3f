"""Weights & Biases, if the configuration asks for it; metrics.jsonl is written either way."""

from typing import Any

from trainer.config import Config


class Tracker:
    """Logs an iteration's metrics; does nothing with wandb.mode=disabled."""

    def __init__(self, settings: Config) -> None:
        self._run = None
        if settings.wandb.mode != "disabled":
            import wandb

            self._run = wandb.init(
                project=settings.wandb.project, name=settings.output.name, mode=settings.wandb.mode,
                group=settings.wandb.group, dir=str(settings.output), config=settings.model_dump(mode="json"),
            )  # fmt: skip

    def log(self, row: dict[str, Any]) -> None:
        """One iteration."""
        if self._run is not None:
            self._run.log(row, step=row["iteration"])

    def alert(self, title: str, text: str) -> None:
        """Tells whoever has asked Weights & Biases to be told."""
        if self._run is not None:
            self._run.alert(title=title, text=text)

    def close(self) -> None:
        """Flushes what is left."""
        if self._run is not None:
            self._run.finish()
