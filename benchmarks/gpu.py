"""Debates per GPU-hour and what they are made of, on one GPU, with random weights of a real model's shape.

    python -m benchmarks.gpu --shape 8b --output benchmarks/results/h200-8b.json

Six speeches about a passage of 4,000 tokens are played, judged, and learned from (RLOO, LoRA of rank 16, gradient
checkpointing), each by the code that a run uses, in bfloat16. Beside stand a bare `generate` and bare steps, the engine
with its prefix cache, vLLM where it is installed, and TRL's own learner on the rows of one question, padded. Of our
dependencies it needs torch, transformers, accelerate, peft, trl, pydantic and rich alone: no Ray, vLLM, DeepSpeed or
Hydra. Weights are written below TMPDIR, about 2.5 times the size of the model. What is known is written after each
phase, "unfinished" until the last.

MFU is model FLOPs per second over the GPU's peak. Model FLOPs of a row of T tokens are 4 P T + 12 L d T² (see
`benchmarks.shapes.Shape.lora_flops`; P without embeddings, the output matrix for completion tokens only). Where rows
share a passage, `learner_mfu` counts what is computed, and `learner_effective_mfu` all rows as if each was computed
whole: that is no use of the GPU but what it would take without sharing.
Limits: what is read takes at least its FLOPs over the peak, and each sampled token at least the bytes of the weights
and of all keys and values over the memory's bandwidth. Peaks (dense bfloat16) and bandwidths by the makers' sheets:
H200 989 TFLOP/s and 4.8 TB/s, H100 989 and 3.35, A100 312 and 2.04; for others give --peak-tflops and --bandwidth.
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
BANDWIDTH = {"H200": 4.8, "H100": 3.35, "A100": 2.04}
"""TB/s of its memory."""


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
    parser.add_argument("--bandwidth", type=float, help="TB/s of the GPU's memory, for the limits")
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
        bench = rig.Rig(workload, Path(folder), chosen.repeats, kept=chosen.output)
        try:
            rows = phases.judge(bench, phases.play(bench))
            phases.compare(bench, rows)
            phases.learn(bench, rows)
            phases.publish_full(bench)
            phases.play_vllm(bench)
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
        **_mfu(rig, _known(PEAK_TFLOPS, device, chosen.peak_tflops)),
        **_limits(rig, _known(PEAK_TFLOPS, device, chosen.peak_tflops), _known(BANDWIDTH, device, chosen.bandwidth)),
        "peak_memory_gib": rig.peaks,
        "seconds": rig.durations,
    }


def _medians(rig: "Rig") -> dict[str, float]:
    return {name: statistics.median(values) for name, values in rig.durations.items()}


def _rates(rig: "Rig") -> dict[str, float]:
    """Return medians over the repeats."""
    found, took = rig.figures, _medians(rig)
    learn = took["learn_prepare"] + took["learn_steps"]
    fastest = min(took[name] for name in ("play", "play_cached", "play_vllm") if name in took)
    others = {
        f"{name}_generated_tokens_per_s": found["generated_tokens"] / took[name]
        for name in ("play_cached", "play_vllm")
        if name in took
    }
    return {
        "generated_tokens_per_s": found["generated_tokens"] / took["play"],
        **others,
        "prefill_tokens_per_s": found["prompt_tokens_read"] / took["prefill"],
        "debates_per_gpu_hour": 3600 * rig.workload.debates / (fastest + took["judge"] + learn),
        "judge_readings_per_s": found["judge_readings"] / took["judge"],
        "learner_tokens_per_s": found["learner_tokens"] / took["learn_steps"],
        "learner_tokens_per_s_with_preparation": found["learner_tokens"] / learn,
        "engine_over_bare_generate_ratio": took["bare_generate"] / took["play"],
        "learner_over_bare_steps_ratio": took["bare_learn"] / took["learn_steps"],
    }


def _mfu(rig: "Rig", peak: float | None) -> dict[str, float | None]:
    """Return the FLOPs of the optimizer steps, and of whole iterations (the passes for old and reference
    log-probabilities count as time, not as work), over the peak; none without a peak to compare with."""
    took, found = _medians(rig), rig.figures
    steps = took["learn_steps"]
    wanted = {
        "learner_mfu": (found["learner_flops_computed"], steps),
        "learner_mfu_with_preparation": (found["learner_flops_computed"], steps + took["learn_prepare"]),
        "learner_effective_mfu": (found["learner_flops"], steps),
        "bare_learner_mfu": (found["learner_flops"], took["bare_learn"]),
        "step_padded_mfu": (found["step_flops_padded"], took["step_padded"]),
        "step_shared_mfu": (found["step_flops_shared"], took["step_shared"]),
        "step_shared_effective_mfu": (found["step_flops_padded"], took["step_shared"]),
    }
    return {"peak_tflops": peak} | {
        name: peak and flops / 1e12 / seconds / peak for name, (flops, seconds) in wanted.items()
    }


def _limits(rig: "Rig", peak: float | None, bandwidth: float | None) -> dict[str, float | None]:
    """Return the least seconds in which the GPU could read and sample what was played, prompts read anew for each
    speech, and how many times as long it took; none where peak or bandwidth are not known."""
    if not peak or not bandwidth:
        return {"bandwidth_tb_per_s": bandwidth}
    took, found = _medians(rig), rig.figures
    prefill, decode = found["prefill_flops"] / 1e12 / peak, found["decode_bytes"] / 1e12 / bandwidth
    return {
        "bandwidth_tb_per_s": bandwidth,
        "prefill_limit_s": prefill,
        "decode_limit_s": decode,
        "prefill_over_limit": took["prefill"] / prefill,
        "decode_over_limit": max(took["play"] - took["prefill"], 0.0) / decode,
        "play_cached_over_limit": took["play_cached"] / (prefill + decode),
    }


def _known(by_device: dict[str, float], device: str, given: float | None) -> float | None:
    return given or next((known for name, known in by_device.items() if name in device), None)


if __name__ == "__main__":
    sys.exit(main())
