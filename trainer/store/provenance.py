"""What a run was made with, as hashes: the same functions for its manifest, for a plan made before it, and for checks
made after it."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rostrum.envs.fingerprints import answers_hash, questions_hash, record_hash
from rostrum.envs.questions import QuestionSettings
from rostrum.envs.questions.base import load_questions
from rostrum.rewards.endpoint.config import MEANS
from rostrum.trainer.config import Config
from rostrum.trainer.reading import read_yaml

if TYPE_CHECKING:
    import pandas as pd


def config_hash(config: Config) -> str:
    """Return the hash of what a run is made with (`run_settings`)."""
    return settings_hash(run_settings(config.model_dump(mode="json")))


_HASHED_AS = {"decoding": "inference", "monitor": "watch"}
"""Sections that had another name when hashes were first recorded: a new name does not make another run."""


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Return one hash of a configuration's plain values, whichever names its sections have had."""
    return record_hash({_HASHED_AS.get(key, key): value for key, value in settings.items()})


_MEANS = ("output", "arms", "wandb", "ablation", "rehearse")
"""Sections and keys that decide where a run lies, which other arms its experiment has, who is told of it, and what is
tried before it."""
_OF_A_CLUSTER = ("shard_size",)
"""Settings of a cluster that decide what is sampled; the others decide where and how fast."""
_OF_AN_ENGINE = ("batch_size", "gpu_memory_fraction", "tensor_parallel")
"""Settings of a model's engine that decide how much it does at a time, and on how many GPUs."""
_WITH_ENGINES = ("debater", "judge", "heldout_judges", "decoding", "inference")
"""Sections that hold models with engines."""


def run_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of a configuration but for the means: where and how it is run, how endpoints are asked.
    None of these changes what comes out."""
    kept: dict[str, Any] = without_means({key: value for key, value in values.items() if key not in _MEANS})
    if isinstance(cluster := kept.get("cluster"), Mapping):
        kept["cluster"] = {key: cluster[key] for key in _OF_A_CLUSTER if key in cluster}
    return {key: _without(value, _OF_AN_ENGINE) if key in _WITH_ENGINES else value for key, value in kept.items()}


def made_with(recorded: str | None, values: Mapping[str, Any]) -> bool:
    """Return whether the hash of a configuration is the recorded one, by today's rule or by that of the first edition,
    for which all of a cluster, W&B and the engines' sizes made a run too."""
    first = without_means({key: value for key, value in values.items() if key not in ("output", "arms")})
    return recorded in (settings_hash(run_settings(values)), settings_hash(first))


def _without(values: Any, keys: Sequence[str]) -> Any:
    if isinstance(values, list):
        return [_without(value, keys) for value in values]
    if not isinstance(values, Mapping):
        return values
    return {key: _without(value, keys) for key, value in values.items() if key not in keys}


def without_means(values: Any) -> Any:
    """Return a configuration's values without those by which judges' endpoints are asked and paid."""
    if isinstance(values, list):
        return [without_means(value) for value in values]
    if not isinstance(values, Mapping):
        return values
    return {
        key: {inner: v for inner, v in value.items() if inner not in MEANS}
        if key == "endpoint" and isinstance(value, Mapping)
        else without_means(value)
        for key, value in values.items()
    }


def question_hashes(settings: QuestionSettings) -> dict[str, dict[str, str | int]]:
    """Return both splits as they are asked, by hash, with the numbers of questions and stories; of the held-out one the
    right answers too, apart."""
    source = load_questions(settings)
    found: dict[str, dict[str, str | int]] = {}
    for split in ("train", "heldout"):
        asked = source.questions(split)
        stories = len({question.story_id for question in asked})
        found[split] = {"hash": questions_hash(asked), "questions": len(asked), "stories": stories}
    found["heldout"]["answers"] = answers_hash(source.answer_key("heldout"))
    return found


def saved_config_hash(run: Path, recorded: str | None = None) -> str:
    """Return the hash of the configuration that lies in a run's folder: the recorded one, if that is its hash by any
    rule (`made_with`)."""
    values = saved_settings(run)
    return recorded if recorded is not None and made_with(recorded, values) else settings_hash(run_settings(values))


def saved_settings(run: Path) -> dict[str, Any]:
    """Return the plain values of a run's configuration as it was saved; empty if it was not."""
    path = run / "config.yaml"
    return read_yaml(path) if path.exists() else {}


def verdicts_hash(verdicts: "pd.DataFrame") -> str:
    """Return the hash of a table of verdicts, row by row; how the file is compressed does not count."""
    return hashlib.sha256(verdicts.to_csv(index=False, na_rep="NaN").encode()).hexdigest()


def hardware() -> dict[str, Any]:
    """Return processor, cores that this process may use, memory in GiB, and the GPUs by name."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cpu": _processor(), "cores": cores, "memory_gib": _memory_gib(), "gpus": gpus}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _memory_gib() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def chat_template_hashes(models: Sequence[str]) -> dict[str, str | None]:
    """Return the hash of each model's chat template; None for one that has none."""
    from rostrum.trainer.models.loading import load_tokenizer

    templates = {model: load_tokenizer(model, speaks=False).chat_template for model in models}
    return {model: None if template is None else record_hash(template) for model, template in templates.items()}
