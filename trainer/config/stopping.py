"""Where a training is recorded, and at which figures it ends."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rostrum.trainer.section import RunView, Section


class TrackingError(ValueError):
    """Weights & Biases cannot be used; the message says what to do."""


class Wandb(Section):
    """Weights & Biases; metrics.jsonl is written in any case."""

    mode: Literal["disabled", "offline", "online"] = "disabled"
    project: str = "rostrum"
    group: str | None = None
    """What runs that belong together are grouped by; `rostrum ablate` sets it."""

    def check(self, run: RunView) -> None:
        """Ask for what wandb.mode=online needs before anything is played.

        Raises:
            TrackingError: nobody is logged in.
        """
        if self.mode != "online":
            return
        import wandb
        from wandb.errors import AuthenticationError
        from wandb.sdk.lib import wbauth

        try:
            found = wbauth.authenticate_session(
                host=wandb.Settings().base_url, source="wandb.mode=online", prompt=False, update_session=False
            )
        except AuthenticationError as error:
            raise TrackingError(
                f"wandb.mode=online cannot use the API key that is there ({error}): set WANDB_API_KEY anew, or choose "
                "wandb.mode=offline."
            ) from None
        if found is None:
            raise TrackingError(
                "wandb.mode=online needs an API key and there is none: set WANDB_API_KEY, log in with `wandb login`, "
                "or choose wandb.mode=offline and `wandb sync` the run later."
            )


def _word_off(value: Any) -> Any:
    return None if value is False or value == "off" else value


Limit = Annotated[float | None, BeforeValidator(_word_off)]
"""A number, or "off" (or null)."""


class Limits(Section):
    """Figures of an iteration, as metrics.jsonl has them, at which a training ends (`trainer.learners.limits`); each
    can be turned off, and a run that one has ended can be resumed without it (limits.kl=off)."""

    kl: Limit = Field(10.0, gt=0)
    """Largest KL divergence from the reference, in nats per token (TRL's estimate: the mean over the tokens of an
    iteration). Trainings that go well stay below 1; an exploding one is at hundreds, or no number, within an iteration
    or two."""
    entropy: Limit = Field(0.001, ge=0)
    """Smallest entropy of the policy, in nats per token (less the mean log-probability of what was sampled). Language
    models speak at .3 to 3; below .001 every sample is the same."""
    cut_speeches: Limit = Field(1.0, gt=0, le=1)
    """Share of speeches that were cut at debater.max_tokens."""
    empty_speeches: Limit = Field(1.0, gt=0, le=1)
    """Share of speeches without a word."""
