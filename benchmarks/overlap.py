"""What is gained where the next batch is played while the learner works (`algorithm.staleness=1`).

    python -m benchmarks.overlap [--repeats N] [--questions N] [OVERRIDE ...]

Two training runs take turns, iteration by iteration: one learns and then plays, the other does both at a time. Each has
a worker that plays and a judge, on Ray; the learners are in this process, which waits while debates are played, so two
cores are enough. The learner goes through its rows as often as makes playing and learning last about as long.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.measure import Measurement, clock, ratios
from rostrum.trainer.cluster import cluster as ray_cluster
from rostrum.trainer.config import Config
from rostrum.trainer.run import Run
from rostrum.trainer.store.run_folder import RunFolder, read_lines

TARGET = 1.5
"""Least ratio that the overlap should reach where both last as long; 2 is what there is to gain."""
QUICK = 8
"""Questions of an iteration, unless more are asked for."""
PASSES = 40
"""Most passes over an iteration's rows."""
_SECTION = "playing while learning"
_ACTORS = 4
"""A worker and a judge for each of the two runs."""


def of_runs(settings: Config, repeats: int, questions: int = QUICK) -> list[Measurement]:
    """Measure whole iterations of both kinds, pair by pair, the first of each left out, with at most so many
    questions."""
    count = min(settings.algorithm.questions_per_iteration, questions)
    smaller = settings.algorithm.model_copy(update={"questions_per_iteration": count})
    settings = settings.model_copy(update={"algorithm": smaller})
    os.environ.setdefault("RAY_worker_niceness", "0")  # or what else runs here would hold up players and no learner
    ray_cluster.leave()  # whoever measured on Ray before may have left actors there
    ray_cluster.join(settings.cluster.address, _ACTORS)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        balanced = _balanced(_configured(settings, Path(folder) / "before", 3))
        runs = {}
        for staleness in (0, 1):  # the last iteration would not play ahead, and is not run
            of_run = {"staleness": staleness, "epochs": balanced}
            config = _configured(settings, Path(folder) / str(staleness), repeats + 2, **of_run)
            runs[staleness] = config, stack.enter_context(closing(_iterations(config)))
        pairs = [[next(iterations) for _, iterations in runs.values()] for _ in range(repeats + 1)][1:]
        in_turns, at_once = ([pair[kind] for pair in pairs] for kind in (0, 1))
        lines = {kind: read_lines(RunFolder(config.output).metrics)[1:] for kind, (config, _) in runs.items()}
    ray_cluster.leave()
    return [
        Measurement(_SECTION, "an iteration, one after the other", "s", tuple(in_turns)),
        Measurement(_SECTION, "an iteration, at a time", "s", tuple(at_once)),
        *(
            Measurement(_SECTION, f"{name} in it, {how}", "s", tuple(_seconds(line, parts) for line in lines[kind]))
            for name, parts in (("playing and judging", ("playing", "judging")), ("learning", ("learning",)))
            for kind, how in ((0, "one after the other"), (1, "at a time"))
        ),
        ratios(_SECTION, f"one after the other over at a time ({balanced} passes)", in_turns, at_once, TARGET),
    ]


def _configured(settings: Config, output: Path, iterations: int, **algorithm: Any) -> Config:
    """Return the run with a worker and a judge of their own, and a shard for all of its debates: its judge and its
    worker take turns."""
    cluster = settings.cluster.model_copy(update={"rollout_workers": 1, "judge_workers": 1, "shard_size": 2**20})
    changed = {"epochs": 1, **algorithm}
    return settings.model_copy(
        update={
            "output": output,
            "iterations": iterations,
            "save_every": iterations,
            "cluster": cluster,
            "algorithm": settings.algorithm.model_copy(update=changed),
        }
    )


def _iterations(config: Config) -> Generator[float, None, None]:
    """Do what `train` does, but for monitor and checkpoints; yield the seconds of each iteration."""
    with Run(config) as run:
        for iteration in run.iterations():
            start = clock()
            policies = run.publish(iteration - 1)
            rows = run.collect(iteration, policies)
            with run.playing(iteration + 1):
                learned = run.learn(rows, policies)
            run.record(learned)
            yield clock() - start


def _balanced(config: Config) -> int:
    """Return how many passes over the rows last as long as playing and judging them.

    A pass is forward and backward, three times a forward pass; before the first one the learner reads all rows once,
    and the reference does where there is one.
    """
    with closing(_iterations(config)) as iterations:
        for _ in range(2):
            next(iterations)
    line = read_lines(RunFolder(config.output).metrics)[1]
    reading = (1 + (getattr(config.algorithm, "kl", 0) > 0)) / 3
    a_pass: float = line["learning_seconds"] / (1 + reading)
    wanted = (_seconds(line, ("playing", "judging")) - reading * a_pass) / a_pass
    return min(max(round(wanted), 1), PASSES)


def _seconds(line: dict[str, Any], parts: tuple[str, ...]) -> float:
    return float(sum(line[f"{part}_seconds"] for part in parts))


def main() -> int:
    """Measure and print, with the machine's load before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="configuration overrides, as for `rostrum train`")
    parser.add_argument("--repeats", type=int, default=3, help="how many iterations of each kind count")
    parser.add_argument("--questions", type=int, default=QUICK, help="most questions of an iteration")
    arguments = parser.parse_args()
    import torch

    from rostrum.launch import environment
    from rostrum.launch.compose import load

    environment.prepare()
    environment.silence()
    torch.set_num_threads(1)
    before = os.getloadavg()[0]
    for line in of_runs(load(["output=unused", *arguments.overrides]), arguments.repeats, arguments.questions):
        spread = f"{min(line.values):.2f} to {max(line.values):.2f}"
        print(f"{line.name}: {line.median:.2f} {line.unit} ({spread})")
    print(f"load of the machine: {before:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
