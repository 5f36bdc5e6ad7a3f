"""Several policies that are trained together, each by a learner of its own."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, field_validator

from rostrum.trainer.algorithms import AnyAlgorithm, settings_by_name
from rostrum.trainer.config.debater import Debater
from rostrum.trainer.section import RunView, Section, SectionError
from rostrum.trainer.types import BASE, CHECKPOINT

OWN = ("model", "lora")
"""What a learner's debater may have otherwise than the run's."""
PolicyName = Annotated[str, Field(pattern=r"^\w[\w-]{0,39}$")]
"""Folders and figures are called after a policy."""
TAKEN = {BASE: "the untrained debater", CHECKPOINT: "the debater that is evaluated"}
"""Names of policies in transcripts, and whom they mean there."""
_ALGORITHM: TypeAdapter[AnyAlgorithm] = TypeAdapter(AnyAlgorithm)


class LearnerOverrides(Section):
    """What one learner has otherwise than the run (`learners.NAME`); an empty section changes nothing."""

    debater: dict[str, Any] = {}
    """Its `model` and `lora`; what is left out is as in the section `debater`."""
    algorithm: dict[str, Any] = {}
    """Keys of its algorithm; what is left out is as in the section `algorithm`. Another `name` keeps the keys that both
    algorithms have."""

    @field_validator("debater")
    @classmethod
    def _only_its_own(cls, values: dict[str, Any]) -> dict[str, Any]:
        if others := [key for key in values if key not in OWN]:
            raise ValueError(f"a learner has a {' and a '.join(OWN)} of its own, and shares {others[0]}: leave it out")
        return values

    def debater_of(self, common: Debater) -> Debater:
        """Return this learner's debater, given the run's.

        Raises:
            ValidationError: it cannot be.
        """
        return Debater.model_validate(_laid_over(common.model_dump(), self.debater))

    def algorithm_of(self, common: AnyAlgorithm) -> AnyAlgorithm:
        """Return this learner's algorithm, given the run's.

        Raises:
            ValidationError: it cannot be.
        """
        name, values = self.algorithm.get("name", common.name), common.model_dump()
        if name != common.name and name in settings_by_name():
            values = {key: values[key] for key in settings_by_name()[name].model_fields if key in values}
        return _ALGORITHM.validate_python(_laid_over(values, self.algorithm))


def _laid_over(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with those of `over` in their place, mapping by mapping."""
    found = dict(values)
    for key, value in over.items():
        before = found.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            value = _laid_over(before, value)
        found[key] = value
    return found


def check_learners(run: RunView) -> None:
    """Ask for speakers of every policy that is trained, and for what several can be trained with.

    Raises:
        SectionError: a policy has a name that means another one, speaks for nobody, or is not to be trained beside
            others as it is asked.
    """
    config, policies = run.config, run.config.policies
    if not config.learners:
        return
    if taken := [policy for policy in policies if policy in TAKEN]:
        raise SectionError(
            f"learners.{taken[0]} has the name that transcripts and reports give to {TAKEN[taken[0]]}: choose another."
        )
    speaking = {speaker.policy for speaker in config.protocol.speakers.values()}
    if silent := [policy for policy in policies if policy not in speaking]:
        raise SectionError(
            f"learners.{silent[0]} speaks for nobody: set protocol.speakers.S.policy={silent[0]} for one of "
            f"{', '.join(config.protocol.speakers)}, or leave it out."
        )
    if config.opponent.meets_others:
        raise SectionError(
            f"opponent={config.opponent.kind} gives one policy a side of its own, and here {' and '.join(policies)} "
            "meet each other: leave opponent=self."
        )
    if config.cluster.deepspeed is not None and not config.cluster.learners:
        raise SectionError(
            f"cluster.deepspeed={config.cluster.deepspeed} gives each of {len(policies)} policies ranks of its own, "
            "which are actors of Ray: leave torchrun out and set cluster.learners=N, the ranks of each policy."
        )
    first = config.debaters[0].model
    for policy, debater in zip(policies, config.debaters, strict=True):
        if not run.reads_alike(first, debater.model):
            raise SectionError(
                f"learners.{policy} has a debater.model with another tokenizer or chat template than that of "
                f"{policies[0]}: give all learners models of one family."
            )
