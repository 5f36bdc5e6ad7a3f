"""Debates per GPU-hour and what they are made of, on one GPU, with random weights of a real model's shape.

    python -m benchmarks.gpu --shape 8b --output benchmarks/results/h200-8b.json

Six speeches about a passage of 4,000 tokens are played, judged, and learned from (PPO, LoRA of rank 16, gradient
checkpointing), each by the code that a run uses, in bfloat16. Of our dependencies it needs torch, transformers,
accelerate, peft, trl, pydantic and rich alone: no Ray, vLLM, DeepSpeed or Hydra. Weights are written below TMPDIR,
about 2.5 times the size of the model.

MFU is model FLOPs per second over the GPU's peak. Model FLOPs of a row of T tokens are 4 P T + 12 L d T² (see
`benchmarks.shapes.Shape.lora_flops`; P without embeddings, the output matrix for completion tokens only). Peaks, dense
bfloat16: H100 and H200 989 TFLOP/s, A100 312; for others give --peak-tflops.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import positive

if TYPE_CHECKING:
    from benchmarks.rig import Rig

PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0}
"""Dense bfloat16, by a part of the device's name."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the figures and write them; return 2 if it cannot be done as asked."""
    chosen = _parser().parse_args(arguments)
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    try:
        from benchmarks.rig import BenchmarkError
        from rostrum.envs.files import write_atomically
    except ModuleNotFoundError as error:
        print(
            f"There is no package {error.name} here: install torch, transformers, accelerate, peft, trl, pydantic and "
            "rich.",
            file=sys.stderr,
        )
        return 2
    try:
        figures = _measure(chosen)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    text = json.dumps(figures, indent=2) + "\n"
    print(text, end="")
    if chosen.output:
        write_atomically(chosen.output, text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", choices=("tiny", "1b", "3b", "8b"), default="1b", help="the debater's size")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures here too, as JSON")
    parser.add_argument("--repeats", type=positive, default=1, help="counted repeats, after one to warm up")
    parser.add_argument("--debates", type=positive, help="debates per iteration, a multiple of 4")
    parser.add_argument("--passage-tokens", type=positive, help="tokens of a passage")
    parser.add_argument("--speech-tokens", type=positive, help="tokens of each speech")
    parser.add_argument("--micro-batch-rows", type=positive, help="rows that the learner holds in memory at once")
    parser.add_argument("--peak-tflops", type=float, help="the GPU's dense bfloat16 peak, for MFU")
    return parser


def _measure(chosen: argparse.Namespace) -> dict[str, Any]:
    import torch
    import transformers

    from benchmarks import phases, rig, shapes

    if chosen.shape != "tiny" and not torch.cuda.is_available():
        raise rig.BenchmarkError(
            f"There is no CUDA device for --shape {chosen.shape}: run this on a machine with an NVIDIA GPU, or take "
            "--shape tiny."
        )
    if chosen.debates and chosen.debates % rig.DEBATES_OF_A_QUESTION:
        raise rig.BenchmarkError(f"--debates {chosen.debates} is no multiple of {rig.DEBATES_OF_A_QUESTION}.")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    sizes = ("debates", "passage_tokens", "speech_tokens", "micro_batch_rows")
    asked = {name: getattr(chosen, name) for name in sizes if getattr(chosen, name) is not None}
    workload = replace(shapes.WORKLOADS[chosen.shape], **asked)
    with tempfile.TemporaryDirectory(prefix="rostrum-gpu-") as folder:
        bench = rig.Rig(workload, Path(folder), chosen.repeats)
        try:
            phases.learn(bench, phases.judge(bench, phases.play(bench)))
            phases.publish_full(bench)
        except torch.OutOfMemoryError:
            raise rig.BenchmarkError(
                f"The GPU's memory was too small after {', '.join(bench.peaks) or 'nothing'}: lower --debates or "
                "--micro-batch-rows."
            ) from None
    return _figures(bench, chosen)


def _figures(rig: "Rig", chosen: argparse.Namespace) -> dict[str, Any]:
    import torch
    import transformers
    import trl

    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else "cpu"
    return {
        "device": device,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
        "shape": chosen.shape,
        "repeats": chosen.repeats,
        **asdict(rig.workload),
        **rig.figures,
        **_rates(rig),
        **_mfu(rig, _peak(device, chosen.peak_tflops)),
        "peak_memory_gib": rig.peaks,
        "seconds": rig.durations,
    }


def _rates(rig: "Rig") -> dict[str, float]:
    """Return medians over the repeats."""
    found, took = rig.figures, {name: statistics.median(values) for name, values in rig.durations.items()}
    learn = took["learn_prepare"] + took["learn_steps"]
    return {
        "generated_tokens_per_s": found["generated_tokens"] / took["play"],
        "prefill_tokens_per_s": found["prompt_tokens_read"] / took["prefill"],
        "debates_per_gpu_hour": 3600 * rig.workload.debates / (took["play"] + took["judge"] + learn),
        "judge_readings_per_s": found["judge_readings"] / took["judge"],
        "learner_tokens_per_s": found["learner_tokens"] / took["learn_steps"],
        "learner_tokens_per_s_with_preparation": found["learner_tokens"] / learn,
        "engine_over_bare_generate_ratio": took["bare_generate"] / took["play"],
        "learner_over_bare_steps_ratio": took["bare_learn"] / took["learn_steps"],
    }


def _mfu(rig: "Rig", peak_tflops: float | None) -> dict[str, float | None]:
    """Return the FLOPs of the optimizer steps, and of whole iterations (the passes for old and reference
    log-probabilities count as time, not as work), over the peak; none without a peak to compare with."""
    took = {name: statistics.median(values) for name, values in rig.durations.items()}
    tflops, steps = rig.figures["learner_flops"] / 1e12, took["learn_steps"]
    return {
        "peak_tflops": peak_tflops,
        "learner_mfu": peak_tflops and tflops / steps / peak_tflops,
        "learner_mfu_with_preparation": peak_tflops and tflops / (steps + took["learn_prepare"]) / peak_tflops,
    }


def _peak(device: str, given: float | None) -> float | None:
    return given or next((peak for name, peak in PEAK_TFLOPS.items() if name in device), None)


if __name__ == "__main__":
    sys.exit(main())
