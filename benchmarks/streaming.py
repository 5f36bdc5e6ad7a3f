"""What is gained where a debate does not wait for the longest speech of its turn (`trainer.rollouts.streamed`).

    python -m benchmarks.streaming [--debates N] [--rounds N] [--tokens N] [--flat S] [--batch N] [--repeats N]

The embedded debater plays the same debates on one vLLM, by turns in step and each debate by itself. Both sample the
same tokens. Before each, what the engine keeps of prompts is dropped. The debater's speeches are nearly all of one
length; with its logits multiplied by `--flat` they are not.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file

from benchmarks.measure import Measurement, rates, ratios, seconds
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol
from rostrum.trainer.engines import Sampling, engine_settings, make_engine
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.play import LiveDebate, begin, outcomes_of, turn_by_turn
from rostrum.trainer.rollouts.schedule import matchups_of
from rostrum.trainer.rollouts.streamed import streamed
from rostrum.trainer.types import Policy, Rollout

_SECTION = "debates that do not wait for each other"


def of_both(
    model: str, debates: int, rounds: int, sampling: Sampling, batch: int, repeats: int
) -> tuple[list[Measurement], float]:
    """Measure both ways in turns, the first pair left out; return besides how many times as many steps of the engine
    playing in step takes, from the lengths of the speeches, where all debates fit into a batch."""
    policy = Policy("current", 0, model)
    engines = {policy.name: make_engine(policy.path, engine_settings("vllm", batch_size=batch))}
    protocol, prompts = Protocol("debate", rounds=rounds), load_prompts("testimony")
    questions = TestimonyWorld(train=-(-debates // 2), heldout=0).questions("train")
    matchups = matchups_of(questions, protocol, 1)[:debates]
    versions = {policy.name: policy}
    ended = dict[str, Sequence[LiveDebate]]()

    def in_step() -> None:
        for live in turn_by_turn(begin(matchups, protocol, prompts, engines), engines, sampling, versions):
            ended["in step"] = live

    def by_themselves() -> None:
        ended["by itself"] = streamed(begin(matchups, protocol, prompts, engines), engines, sampling, versions)

    took: dict[Callable[[], None], list[float]] = {in_step: [], by_themselves: []}
    for _ in range(repeats + 1):
        for way, durations in took.items():
            engines[policy.name].load(policy)
            durations.append(seconds(way))
    said = [_lengths(ended[how], sampling) for how in ("in step", "by itself")]
    assert said[0] == said[1], "both ways sample the same"
    steps = sum(map(max, zip(*said[0], strict=True))) / max(map(sum, said[0]))
    tokens, (waiting, alone) = sum(map(sum, said[0])), [durations[1:] for durations in took.values()]
    return [
        rates(_SECTION, "tokens sampled, turns in step", "1/s", tokens, waiting),
        rates(_SECTION, "tokens sampled, each debate by itself", "1/s", tokens, alone),
        ratios(_SECTION, "in step over by itself", waiting, alone),
    ], steps


def flattened(folder: Path, by: float) -> str:
    """Return the embedded debater in a folder, its logits multiplied."""
    shutil.copytree(loading.resolve("embedded/debater"), folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] *= by
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def _lengths(debates: Sequence[LiveDebate], sampling: Sampling) -> list[list[int]]:
    """Return the tokens of each speech of the debates that did not fail."""
    rollouts = [outcome for outcome in outcomes_of(debates, sampling) if isinstance(outcome, Rollout)]
    return [[len(speech.token_ids) for speech in rollout.transcript.speeches] for rollout in rollouts]


def main() -> int:
    """Measure and print, with the machine's load before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debates", type=int, default=64, help="debates of a shard")
    parser.add_argument("--rounds", type=int, default=2, help="speeches of each side")
    parser.add_argument("--tokens", type=int, default=40, help="most tokens of a speech")
    parser.add_argument("--flat", type=float, default=0.4, help="the lower, the less alike are the lengths")
    parser.add_argument("--batch", type=int, default=256, help="prompts that the engine has under way at a time")
    parser.add_argument("--repeats", type=int, default=5, help="how many pairs count")
    asked = parser.parse_args()
    before, sampling = os.getloadavg()[0], Sampling(asked.tokens, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        model = flattened(Path(folder) / "debater", asked.flat)
        lines, steps = of_both(model, asked.debates, asked.rounds, sampling, asked.batch, asked.repeats)
    for line in lines:
        print(f"{line.name}: {line.median:.3g} {line.unit} ({min(line.values):.3g} to {max(line.values):.3g})")
    print(f"steps of the engine, counted from the lengths: {steps:.2f} times as many in step")
    print(f"load of the machine: {before:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
