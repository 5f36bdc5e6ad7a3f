"""From the configuration to how debates are spoken and to the judge that asks in between, in whatever process plays."""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name

from rostrum.envs.types import Protocol
from rostrum.rewards.inquirer import Inquirer, inquiring_model, make_inquirer
from rostrum.rewards.judges import JudgeSettings, Models, ModelSettings
from rostrum.trainer.config.decoding import AnyDecoding
from rostrum.trainer.rollouts.decoding.turns import OneSample, Speaking, Way, one_sample


@dataclass(frozen=True, slots=True)
class Decoding:
    """How speeches are sampled, and who asks between the rounds."""

    speaking: Speaking = OneSample()
    inquirer: Inquirer | None = None


@dataclass(frozen=True, slots=True)
class DecodingSetup:
    """What a process needs to make an `Decoding` of its own, its judges' models included; it travels to workers."""

    way: Way = one_sample
    models: Models | None = None
    """Where judges get their models; they are loaded in the process that plays."""
    asks: ModelSettings | None = None
    """The judge that asks, where the protocol has one."""

    def make(self) -> Decoding:
        """Load the judges that are needed."""
        if self.asks is None:
            return Decoding(self.way(self.models))
        assert self.models is not None
        return Decoding(self.way(self.models), make_inquirer(self.asks, self.models))


def decoding_setup(
    settings: AnyDecoding, protocol: Protocol, prompts: str, judge: JudgeSettings, models: Models
) -> DecodingSetup:
    """Return the setup for debates under a protocol; `judge` gives the reward, and chooses and asks unless another is
    named.

    Raises:
        JudgeError: the protocol's judge asks, and this one cannot.
        PromptError: a prompt set lacks a template that this needs.
        LengthError: there are no lengths to match.
    """
    prepare: Callable[..., Way] = resolve_name(settings.way)
    asks = inquiring_model(judge) if protocol.judge_asks else None
    return DecodingSetup(prepare(settings, protocol, prompts, judge), models, asks)
