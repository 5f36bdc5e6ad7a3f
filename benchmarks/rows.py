"""What it saves to learn from all speeches of a speaker in one row, where the template lets their contexts be one."""

import tempfile
from pathlib import Path

from benchmarks.learner import learn, timed_learner
from benchmarks.measure import Measurement, ratios
from benchmarks.rig import Rig
from benchmarks.shapes import SHAPES, Workload
from rostrum.trainer.types import Batch, Trajectory

LONG = Workload(
    SHAPES["tinier"], SHAPES["tinier"], passage_tokens=4000, speech_tokens=150, debates=4, micro_batch_rows=1
)
"""Six speeches of 150 tokens about a passage of 4,000, for a model so small that a CPU can learn from them."""
TARGET = 2.5
"""How many times fewer tokens the learner should read."""
_SECTION = "a row per speaker against a row per speech"


def merged_rows(repeats: int, workload: Workload = LONG) -> list[Measurement]:
    """Measure the same debates as rows of both kinds: tokens in them (exact), and seconds of the learner, in turns."""
    kinds = ("speaker", "speech")
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        rigs = {kind: _rig(kind, workload, Path(folder) / kind) for kind in kinds}
        rows = {kind: played(rig) for kind, rig in rigs.items()}
        for _ in range(repeats):
            for kind in kinds:
                took[kind].append(_learn(rigs[kind], rows[kind]))
    tokens = {kind: sum(map(tokens_of, rows[kind])) for kind in kinds}
    return [
        *(
            Measurement(_SECTION, f"tokens per debate, a row per {kind}", "tokens", (tokens[kind] / workload.debates,))
            for kind in kinds
        ),
        Measurement(_SECTION, "tokens, speech over speaker", "x", (tokens["speech"] / tokens["speaker"],), TARGET),
        *(Measurement(_SECTION, f"learner, a row per {kind}", "s", tuple(took[kind])) for kind in kinds),
        ratios(_SECTION, "seconds, speech over speaker", took["speech"], took["speaker"]),
    ]


def _rig(rows: str, workload: Workload, folder: Path) -> Rig:
    """Make a rig of all weights in float32, one pass over the rows, no reference: forward and backward passes and
    little else."""
    plain = {"dtype": "float32", "lora": None, "gradient_checkpointing": False}
    rig = Rig(workload, folder, 1, {"rows": rows, **plain})
    once = rig.settings.algorithm.model_copy(update={"epochs": 1, "minibatches": 1, "kl": 0.0})
    rig.settings = rig.settings.model_copy(update={"algorithm": once})
    return rig


def _learn(rig: Rig, rows: list[Trajectory]) -> float:
    """Return seconds of one iteration of the learner, which is long enough to need no warming up."""
    learner = timed_learner(rig.settings, 1, str(rig.settings.output))
    learn(learner, rows, 1)
    return learner.prepare[0] + learner.steps[0]


def played(rig: Rig) -> list[Trajectory]:
    """Return the rows of debates that were played and judged now."""
    return Batch(1, {rig.policy.name: rig.policy}, tuple(rig.read(rig.play())), (), 0.0).trajectories()


def tokens_of(trajectory: Trajectory) -> int:
    """Return what the learner reads for a row, prompt and completion."""
    return len(trajectory.row.prompt) + len(trajectory.row.completion)
