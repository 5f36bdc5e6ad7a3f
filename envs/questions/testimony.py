"""Questions of the testimony world, made from a seed (`envs/testimony/world.py`)."""

from typing import Literal

from pydantic import Field

from rostrum.envs.questions.base import QuestionSettings
from rostrum.envs.testimony.world import SPLIT_SIZE, TestimonyWorld


class Settings(QuestionSettings):
    """How many questions to make; the world has no end, so null is no number here."""

    kind: Literal["testimony"]
    train: int = Field(4000, ge=1, le=SPLIT_SIZE)
    heldout: int = Field(400, ge=2, le=SPLIT_SIZE)

    def load(self) -> TestimonyWorld:
        return TestimonyWorld(self.train, self.heldout, self.seed)
