"""From the configuration to how debates are spoken and to the judge that asks in between, in whatever process plays."""

from dataclasses import dataclass

from envs import revisions
from envs.prompts import load_prompts
from envs.types import Protocol
from rewards.helpfulness import Helpfulness, helping_model, make_helpfulness
from rewards.inquirer import Inquirer, inquiring_model, make_inquirer
from rewards.judges import JudgeError, JudgeSettings, Models, ModelSettings
from rewards.preference import in_both_orders
from rewards.types import Judge
from trainer.config.decoding import AnyInference, BestOf, Plain, Refine
from trainer.inference.best_of import BestOfN
from trainer.inference.length_matched import LengthMatched, Lengths, read_lengths
from trainer.inference.refine import CritiqueAndRefine
from trainer.inference.turns import OneSample, Speaking


@dataclass(frozen=True, slots=True)
class Inference:
    """How speeches are come by, and who asks between the rounds."""

    speaking: Speaking = OneSample()
    inquirer: Inquirer | None = None


@dataclass(frozen=True, slots=True)
class InferenceSetup:
    """What a process needs to make an `Inference` of its own, its judges' models included; it travels to workers."""

    settings: AnyInference = Plain()
    models: Models | None = None
    """Where judges get their models; they are loaded in the process that plays."""
    asks: ModelSettings | None = None
    """The judge that asks, where the protocol has one."""
    lengths: Lengths | None = None

    def make(self) -> Inference:
        """Loads the judges that are needed."""
        asks = None if self.asks is None else make_inquirer(self.asks, self._models())
        return Inference(self._speaking(), asks)

    def _speaking(self) -> Speaking:
        settings = self.settings
        if isinstance(settings, Plain):
            return OneSample()
        if isinstance(settings, BestOf):
            assert settings.judge is not None
            return BestOfN(settings.candidates, settings.judge.make(self._models()))
        if isinstance(settings, Refine):
            return CritiqueAndRefine(settings.critiques, *self._critics(settings))
        assert self.lengths is not None
        return LengthMatched(settings.candidates, self.lengths)

    def _critics(self, settings: Refine) -> tuple[Judge | None, Helpfulness | None]:
        """Who chooses: among the rewrites, or among the critiques; nobody where there is one critique."""
        if settings.judge is None:
            return None, None
        if settings.choose == "speech":
            return settings.judge.make(self._models()), None
        helping = helping_model(settings.judge)
        assert helping is not None
        return None, make_helpfulness(helping, self._models())

    def _models(self) -> Models:
        assert self.models is not None
        return self.models


def inference_setup(
    settings: AnyInference, protocol: Protocol, prompts: str, judge: JudgeSettings, models: Models
) -> InferenceSetup:
    """The setup for debates under a protocol; `judge` gives the reward, and chooses and asks unless another is named.

    Raises:
        JudgeError: the protocol's judge asks, and this one cannot.
        PromptError: a prompt set lacks a template that this needs.
        LengthError: there are no lengths to match.
    """
    if isinstance(settings, BestOf):
        settings = settings.model_copy(update={"judge": in_both_orders(settings.judge or judge)})
    if isinstance(settings, Refine):
        revisions.require(load_prompts(prompts))
        settings = _refine(settings, settings.judge or judge)
    asks = inquiring_model(judge) if protocol.judge_asks else None
    return InferenceSetup(settings, models, asks, _lengths(settings, protocol))


def _refine(settings: Refine, judge: JudgeSettings) -> Refine:
    """With the judge that chooses, none for a single critique, and by what it does."""
    if settings.critiques == 1:
        return settings.model_copy(update={"judge": None})
    helps = helping_model(judge) is not None
    if settings.choose == "helpfulness" and not helps:
        raise JudgeError(
            f"{judge.name} cannot say which critique helps most: its prompt set has no helpful.j2, or its model a head "
            "in the place of words; choose another judge, or inference.choose=speech."
        )
    how = ("helpfulness" if helps else "speech") if settings.choose == "auto" else settings.choose
    return settings.model_copy(update={"judge": in_both_orders(judge), "choose": how})


def _lengths(settings: AnyInference, protocol: Protocol) -> Lengths | None:
    if settings.kind != "length_matched":
        return None
    if settings.lengths is not None:
        return read_lengths(settings.lengths, protocol)
    assert settings.words is not None  # the settings see to it that one of the two is given
    return {ply: [settings.words] for ply in range(len(protocol.plies()))}
