"""What can be wrong with the opponents that a configuration asks for."""

import torch

from rostrum.launch.errors import LaunchError
from rostrum.trainer.config import Config
from rostrum.trainer.engines import settings_by_name


def check_opponent(config: Config) -> None:
    """Somebody to sit opposite, debates that are left for others, and room for all policies that play at a time.

    Raises:
        LaunchError: one of these is amiss.
    """
    _check_gpu_memory(config)
    opponent = config.opponent
    if not opponent.meets_others:
        return
    if len(config.protocol.sides) < 2:
        raise LaunchError(
            f"opponent={opponent.kind} needs two sides and protocol={config.protocol.name} has one: "
            "leave opponent=self."
        )
    spoken = [name for turn in config.protocol.order() for name in turn]
    each = [[spoken.count(name) for name in config.protocol.on(side)] for side in config.protocol.sides]
    if len(each[0]) != len(each[1]) or sum(each[0]) != sum(each[1]):
        raise LaunchError(
            f"opponent={opponent.kind} gives the policy one side in half of the debates, and the sides of "
            f"protocol={config.protocol.name} do not speak equally often: leave opponent=self."
        )
    questions = config.algorithm.questions_per_iteration
    if opponent.against_itself(questions) == questions:
        share = getattr(opponent, "self_play", 1.0)
        raise LaunchError(
            f"opponent.self_play={share:g} leaves none of an iteration's {questions} questions for "
            "others: lower it, raise algorithm.questions_per_iteration, or choose opponent=self."
        )


def _check_gpu_memory(config: Config) -> None:
    """Some engines take a share of the GPU for each model with full weights; adapters share one copy of their base.

    Besides its opponents the policy meets the base debater, in the watch's looks and in the evaluation.

    Raises:
        LaunchError: the shares of one worker are more than the GPU.
    """
    debater, policies = config.debater, _policies(config)
    on_gpu = config.cluster.gpus_per_worker > 0 or torch.cuda.is_available()
    if not settings_by_name()[debater.engine].claims_memory or debater.lora is not None or not on_gpu:
        return
    if policies * debater.gpu_memory_fraction > 1:
        raise LaunchError(
            f"opponent={config.opponent.kind} has up to {policies} policies in one worker (with the evaluation's) and "
            f"each may take debater.gpu_memory_fraction={debater.gpu_memory_fraction:g} of its GPU: set it to at most "
            f"{1 / policies:.2f}, or train adapters (debater.lora.rank=16), which share one model."
        )


def _policies(config: Config) -> int:
    """The most policies that a worker holds at a time. All names that it has once played stay with it."""
    if len(config.protocol.sides) < 2:
        return 1
    held = config.opponent.held()
    base = int(config.watch.questions > 0 and held > 0 and not config.opponent.includes_base)
    return 1 + max(1, held + base)
