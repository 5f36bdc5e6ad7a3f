"""The folder of a trained judge: a Hugging Face model with judge.yaml, calibrated.yaml, training.json and a card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rostrum.envs.files import temporary_folder, write_atomically
from rostrum.rewards.calibration import Calibration
from rostrum.rewards.judges import ModelSettings
from rostrum.rewards.settings import TAUGHT
from rostrum.trainer.judge_training.data import JudgeTrainingError
from rostrum.trainer.models import cards, model_folders
from rostrum.trainer.reading import read_json
from rostrum.trainer.records import jsonable

RECORD, SETTINGS, CALIBRATED = "training.json", "judge.yaml", "calibrated.yaml"
LAST = "config.json"
"""Comes last into the folder: without it no library takes the folder for a model."""

CARD = """\
# {judge}

A judge of debates, trained with `rostrum judge train` from {model} (head: {head}; weights: {weights}; prompt set
`{prompts}`, seed {seed}). It learned from {learned[debates]:,} labelled debates about {learned[stories]:,} stories,
each in both presentation orders{soft}; {heldout[debates]:,} debates about {heldout[stories]:,} other stories decided
when to stop (after step {kept[step]:,}) and gave the temperature.

| on the held-out debates, both orders averaged | accuracy | 95 % interval, debates (Wilson) | 95 % interval, stories |
|---|---|---|---|
| before | {before} |
| after | {after} |

Change: {change[change]:+.1%} (95 % interval {change[low]:+.1%} to {change[high]:+.1%}, p = {change[p]:.3g}):
{change[headline]}. These debates also chose the weights that were kept, so the figure after training is a little too
good.

`calibrated.yaml`: the same judge with P = sigmoid((z - bias) / temperature), z being the log-odds of the answer shown
first; temperature {fitted.temperature:.3f}, bias {fitted.bias:+.3f}. The model itself is not changed by it. Log loss on
the held-out debates, each order by itself: {loss[log_loss]:.4f} without, {loss[log_loss_calibrated]:.4f} with it.

Use: `judge=FOLDER/judge.yaml` or `judge=FOLDER/calibrated.yaml`.
"""


def check_free(output: Path) -> None:
    """Refuse a folder that is not a judge's own to be written into; hidden files, such as those of an attempt that was
    stopped, do not count.

    Raises:
        JudgeTrainingError: there is something in it.
    """
    if output.is_dir() and any(not path.name.startswith(".") for path in output.iterdir()):
        raise JudgeTrainingError(f"{output} is not empty: choose another output=FOLDER.")


def judge_settings(judge: ModelSettings, head: str, output: Path) -> dict[str, Any]:
    """Return the settings of the judge that the folder holds, as configs/judge/ would have them."""
    new = {"name": output.name, "model": str(output.absolute()), "kind": "likelihood", "choice": head}
    if head == "classifier":
        new = {"name": output.name, "model": str(output.absolute()), "kind": "head"}
    shared = judge.model_dump(mode="json", include=set(ModelSettings.model_fields))
    own = judge.model_dump(mode="json", exclude=set(ModelSettings.model_fields)) if judge.kind == new["kind"] else {}
    return {**shared, **own, **new}


def write(
    output: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: dict[str, Any],
    fitted: Calibration,
    record: dict[str, Any],
    taught: Mapping[str, Any] | None = None,
) -> None:
    """Write everything into a folder beside, then move it, what makes it a model last. `taught` are the stories that
    people taught it on, if any."""
    calibrated = {
        "kind": "calibrated",
        "name": f"{settings['name']}-calibrated",
        "base": settings,
        "calibration": fitted.model_dump(),
    }
    with temporary_folder(output, "ready") as ready:
        model.save_pretrained(ready)
        tokenizer.save_pretrained(ready)
        write_atomically(ready / SETTINGS, yaml.safe_dump(settings, sort_keys=False))
        write_atomically(ready / CALIBRATED, yaml.safe_dump(calibrated, sort_keys=False))
        write_atomically(ready / RECORD, json.dumps(jsonable(record), indent=1))
        if taught is not None:
            write_atomically(ready / TAUGHT, json.dumps(taught, indent=1))
        model_folders.finish(ready, _card(record, fitted))
        for path in sorted(ready.iterdir(), key=lambda path: (path.name == LAST, path.name)):
            path.replace(output / path.name)


def taught(model: str) -> dict[str, Any] | None:
    """Return what the folder of a judge's model says of the people who taught it; None if it says nothing."""
    path = Path(model) / TAUGHT
    return read_json(path, dict[str, Any]) if path.is_file() else None


def _card(record: dict[str, Any], fitted: Calibration) -> str:
    debates, held_out = record["debates"], record["held_out"]
    soft = debates["learned_from"]["soft"]
    base = record["started_from"]["model"]
    head = cards.front_matter(base, library_name="transformers", tags=["debate", "judge", "rostrum"])
    return head + CARD.format(
        **{name: record[name] for name in ("judge", "head", "weights", "prompts", "seed", "kept")},
        model=cards.in_words(base),
        learned=debates["learned_from"],
        heldout=debates["held_out"],
        soft=f"; {soft:,} labels are confidences" if soft else "",
        before=_row(held_out["before"]),
        after=_row(held_out["after"]),
        change=held_out["change"],
        fitted=fitted,
        loss=record["calibration"],
    )


def _row(found: dict[str, Any]) -> str:
    intervals = (f"{low:.1%} to {high:.1%}" for low, high in (found["wilson"], found["clustered"]))
    return " | ".join([f"{found['accuracy']:.1%} of {found['n']:,}", *intervals])
