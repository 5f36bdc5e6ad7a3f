"""What it saves to read a passage once for all debates about it, and once for all speeches of a debate."""

import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Measurement, rates, ratios, seconds
from benchmarks.rig import Rig
from benchmarks.shapes import SHAPES, Workload, questions
from rostrum.trainer import setup
from rostrum.trainer.rollouts.schedule import matchups_of, shards_of

WHOLE = Workload(
    SHAPES["smollm2-135m"], SHAPES["tinier"], passage_tokens=4000, speech_tokens=100, debates=8, micro_batch_rows=1
)
"""Eight debates of two speeches about one passage of 4,000 tokens, with the shape of SmolLM2-135M."""
QUICK = replace(WHOLE, debater=replace(WHOLE.debater, layers=4), speech_tokens=32)
"""The same with 4 of its 30 layers, and speeches of 32 tokens."""
KEPT = 2**32
"""Bytes that the engine may keep."""
TARGET = 4.0
_SECTION = "eight debates about one passage, read once"


def read_once(repeats: int, workload: Workload = QUICK) -> list[Measurement]:
    """Measure the same debates with a prefix cache and without, in turns; warm up with each, which also counts what is
    found in the cache."""
    took: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        rigs = {keeps: _rig(keeps, workload, Path(folder) / str(keeps)) for keeps in took}
        shares = [_share(rig) for rig in rigs.values()]
        for _ in range(repeats):
            for keeps, rig in rigs.items():
                took[keeps].append(seconds(rig.play))
    return [
        rates(_SECTION, "debates, prefix_cache_bytes=0", "1/s", workload.debates, took[False]),
        rates(_SECTION, f"debates, prefix_cache_bytes={KEPT}", "1/s", workload.debates, took[True]),
        ratios(_SECTION, "debates per second, over those without", took[False], took[True], TARGET),
        Measurement(_SECTION, "tokens of prompts that were not read again", "%", (100 * shares[0],)),
    ]


def _rig(keeps: bool, workload: Workload, folder: Path) -> Rig:
    """Make a rig that plays debates of one round about one question, in both seatings."""
    plain = {"dtype": "float32", "lora": None, "gradient_checkpointing": False}
    rig = Rig(workload, folder, 1, {**plain, "engine_options": {"prefix_cache_bytes": KEPT if keeps else 0}})
    rig.settings = rig.settings.model_copy(update={"protocol": replace(rig.settings.protocol, rounds=1)})
    rig.workers = setup.rollout_workers(rig.settings)
    asked = questions(1, workload.passage_tokens, workload.debater.vocabulary)
    rig.shards = shards_of(matchups_of(asked, rig.settings.protocol, workload.debates // 2), workload.debates, 0)
    return rig


def _share(rig: Rig) -> float:
    """Play once; return the share of the prompts' tokens that did not have to be read."""
    ((_, played),) = rig.workers.play(rig.shards, {rig.policy.name: rig.policy})
    return getattr(played, "cache_hit_tokens", 0) / max(getattr(played, "prompt_tokens", 0), 1)
