"""Iterated direct preference optimisation (Rafailov et al. 2023) on sibling speeches."""

from typing import Literal

from pydantic import Field

from rostrum.trainer.algorithms.settings import AlgorithmError, AlgorithmSettings


class Settings(AlgorithmSettings):
    """trl.DPOTrainer on sibling speeches, one round per iteration (configs/algorithm/dpo.yaml)."""

    title = "iterated DPO"
    learner = "rostrum.trainer.learners.dpo_learner:Preference"
    keeps_optimizer = False

    name: Literal["dpo"]
    branches: int = Field(4, ge=2)
    """Siblings sampled at the branching turn; the best and the worst for the speaker make a pair."""
    min_gap: float = Field(0.5, ge=0)
    """Smallest difference in reward between the two of a pair."""
    beta: float = Field(0.1, gt=0)
    reference: Literal["previous", "base"] = "base"
    epochs: int = Field(1, ge=1)
    batch_rows: int = Field(64, ge=1)
    """Pairs per optimizer step."""
    max_length: int = Field(ge=2)
    """Longest prompt and speech together, in tokens; longer pairs are an error, never cut."""

    @property
    def repeats(self) -> int:
        return 1

    @property
    def siblings(self) -> int:
        return self.branches

    @property
    def longest_row(self) -> int | None:
        return self.max_length

    def check_rows(self, rows: int, ranks: int) -> None:
        self.rows_of_a_step(ranks)

    def rows_of_a_step(self, ranks: int) -> int:
        """Return the pairs that a rank has of an optimizer step.

        Raises:
            AlgorithmError: micro-batches do not divide them.
        """
        rows = max(self.batch_rows // ranks, 1)
        if rows % min(self.micro_batch_rows or rows, rows):
            raise AlgorithmError(
                f"algorithm.micro_batch_rows={self.micro_batch_rows} does not divide the {rows} pairs that each of "
                f"{ranks} ranks has of a step: change it, or algorithm.batch_rows."
            )
        return rows
