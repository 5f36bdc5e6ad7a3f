"""`make bench`: how far the rollout path and the learner are from what the hardware gives, in one run.

    python -m benchmarks.bench [--threads N] [--repeats N] [--full] [--json FILE] [OVERRIDE ...]

Overrides are those of `rostrum train`, so any model, protocol or batch can be measured:
`python -m benchmarks.bench debater.model=/models/mine judge.model=/models/judge algorithm.questions_per_iteration=64`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.status import Status

    from benchmarks.measure import Measurement
    from benchmarks.rounds import Cost


LONG_REPEATS = 3
"""Most repeats of what takes whole iterations."""


def main() -> int:
    """Measure and print; return 2 if the configuration cannot be used."""
    arguments = _parse()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # before torch is loaded, and for the rollout workers too
    from rostrum.launch import environment
    from rostrum.launch.compose import ConfigError
    from rostrum.trainer.models.loading import ModelError

    environment.prepare()
    environment.silence()
    try:
        measurements, costs, machine = _measure(
            arguments.overrides, arguments.repeats, arguments.threads, arguments.full
        )
    except (ConfigError, ModelError) as error:
        print(error, file=sys.stderr)
        return 2
    _print(measurements, machine)
    for engine, of_engine in costs.items():
        _print_rounds(engine, of_engine)
    if "vllm" not in costs:
        print("vLLM is not installed here (`make test-vllm` does that), so its prefix cache was not measured.")
    if arguments.json:
        _write(arguments.json, measurements, costs, {**machine, "overrides": arguments.overrides})
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures rollouts and learner against the bare model.")
    parser.add_argument("overrides", nargs="*", help="configuration overrides, as for `rostrum train`")
    parser.add_argument("--threads", type=positive, default=1, help="threads of this process and of each worker")
    parser.add_argument("--repeats", type=positive, default=5, help="how often each side of a ratio is measured")
    parser.add_argument(
        "--full",
        action="store_true",
        help="measure shared passages with all of SmolLM2-135M, not 4 layers, and the overlap with all questions",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every number here")
    return parser.parse_args()


def positive(text: str) -> int:
    """Return a number of threads, repeats and the like, from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return int(text)


def _measure(
    overrides: list[str], repeats: int, threads: int, full: bool
) -> tuple[list["Measurement"], dict[str, list["Cost"]], dict[str, Any]]:
    import torch
    import transformers

    from benchmarks import (
        judging,
        learner,
        measure,
        overlap,
        prefix_cache,
        publishing,
        rollouts,
        rounds,
        rows,
        shared_prefixes,
    )
    from rostrum.launch.compose import ConfigError, load
    from rostrum.trainer.algorithms.settings import PolicyGradientSettings
    from rostrum.trainer.engines import settings_by_name
    from rostrum.trainer.progress import console

    settings = load(overrides)
    if not isinstance(settings.algorithm, PolicyGradientSettings):
        raise ConfigError("The learner's benchmark is one of policy gradients: leave algorithm=dpo away.")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    caching = [name for name, kind in settings_by_name().items() if kind.caches_prefixes and _runs_here(name)]
    with console.status("rollout path against the raw engines") as status:
        bench = rollouts.Bench(settings)
        found, batch = rollouts.against_raw_engine(bench, repeats)
        status.update("learner against bare steps")
        found += learner.against_bare_steps(settings, batch.trajectories(), repeats)
        status.update("one and two rollout workers")
        of_workers, pids = rollouts.workers(bench, repeats)
        found += of_workers + measure.memory(pids)
        status.update("publishing in training runs")
        found += publishing.of_iterations(settings, min(repeats, LONG_REPEATS))
        status.update("debates of one to six rounds")
        costs = {engine: rounds.by_rounds(bench, repeats, engine=engine) for engine in caching}
        for engine, kept in (("transformers", 0), ("transformers with a prefix cache", shared_prefixes.KEPT)):
            costs[engine] = rounds.by_rounds(bench, repeats, options={"prefix_cache_bytes": kept})
        found += [line for engine, cost in costs.items() for line in rounds.growth(cost, engine)]
        for name in caching:
            status.update(f"a judge on {name}")
            found += prefix_cache.of_judges(bench, batch, name)
        status.update("a row per speaker against a row per speech")
        found += rows.merged_rows(min(repeats, LONG_REPEATS))
        found += _of_passages(min(repeats, LONG_REPEATS), full, status)
        status.update("playing while learning (minutes)")
        most = settings.algorithm.questions_per_iteration if full else overlap.QUICK
        found += overlap.of_runs(settings, min(repeats, LONG_REPEATS), most)
        status.update("fifty judges at their pages")
        found += judging.of_pages()
    cpu = f"{platform.machine()}, {os.cpu_count()} cores"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu
    machine = {"device": device, "threads": threads, "torch": torch.__version__, "model": settings.debater.model}
    return found, costs, machine


def _of_passages(repeats: int, full: bool, status: "Status") -> list["Measurement"]:
    from benchmarks import shared_prefixes, trees

    status.update("a passage computed once against TRL's padded rows (minutes)")
    found = trees.computed_once(repeats)
    status.update("debates about one passage")
    return found + shared_prefixes.read_once(repeats, shared_prefixes.WHOLE if full else shared_prefixes.QUICK)


def _runs_here(engine: str) -> bool:
    from rostrum.trainer.engines import EngineError, engine_settings

    try:
        engine_settings(engine).check()
    except EngineError:
        return False
    return True


def _print(measurements: list["Measurement"], machine: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=" · ".join(f"{key} {value}" for key, value in machine.items()))
    for heading in ("", "median", "min to max", "unit", "target"):
        table.add_column(heading, justify="left" if heading in ("", "unit") else "right")
    section = None
    for m in measurements:
        if m.section != section:
            section = m.section
            table.add_section()
            table.add_row(f"[bold]{section}[/bold]")
        target = "" if m.target is None else f"{m.target:g} {'reached' if m.reached else 'MISSED'}"
        spread = f"{_number(min(m.values))} to {_number(max(m.values))}" if len(m.values) > 1 else ""
        table.add_row(m.name, _number(m.median), spread, m.unit, target)
    Console(width=max(Console().width, 110)).print(table)


def _print_rounds(engine: str, costs: list["Cost"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"cost of a debate as rounds grow, engine={engine} (medians, min to max)")
    for heading in ("rounds", "new tokens", "tokens read as context", "ms per debate", "µs per new token"):
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(
            str(cost.rounds),
            f"{cost.new_tokens:.0f}",
            f"{cost.read_tokens:.0f}",
            _spread([1e3 * duration for duration in cost.seconds]),
            _spread(cost.microseconds_per_new_token),
        )
    Console(width=max(Console().width, 110)).print(table)


def _spread(values: Sequence[float]) -> str:
    return f"{_number(statistics.median(values))} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _write(
    path: Path, measurements: list["Measurement"], costs: dict[str, list["Cost"]], machine: dict[str, Any]
) -> None:
    rows = [{**asdict(m), "median": m.median} for m in measurements]
    rounds = {engine: [asdict(cost) for cost in of_engine] for engine, of_engine in costs.items()}
    found = {"machine": machine, "measurements": rows, "rounds": rounds}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
