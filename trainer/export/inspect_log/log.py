"""What a log says besides its samples: what was evaluated, by whom, and how it came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rostrum.envs.fingerprints import record_hash
from rostrum.rewards.statistics import cluster_mean
from rostrum.rewards.types import favours
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.notable import p_right
from rostrum.trainer.export.inspect_log.samples import Json, short_hash

SCHEMA_VERSION = 2
"""Of inspect_ai's logs."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A checkpoint of an arm in a matchup: one log."""

    arm: str
    checkpoint: str
    matchup: str
    run: str
    """What tells the run apart from all others (`run_identity`)."""

    @property
    def task(self) -> str:
        """The name that the log is listed under."""
        return f"{self.arm}-{self.checkpoint}-against-{self.matchup}"

    @property
    def id(self) -> str:
        return short_hash(self.run, self.arm, self.checkpoint, self.matchup)


def run_identity(manifest: Mapping[str, Any]) -> str:
    """Return a hash of when, from what and with which verdicts a run was made: inspect_ai takes samples of several logs
    that have one id for the same sample, and arms of several runs have the same names."""
    evaluated = manifest.get("evaluated") or {}
    known = [manifest.get(key) for key in ("created", "title", "config", "config_hash", "lock")]
    return record_hash([*known, evaluated.get("at"), evaluated.get("verdicts"), evaluated.get("config_hash")])


def header(
    of: Evaluated,
    settings: Config,
    manifest: Mapping[str, Any],
    rows: pd.DataFrame,
    samples: Sequence[str],
    model: str,
) -> Json:
    """Return the log without its samples. `rows` are all verdicts on its debates, `samples` the ids."""
    return {
        "version": SCHEMA_VERSION,
        "status": "success",
        "eval": _spec(of, settings, manifest, samples, model),
        "plan": {"name": settings.protocol.name, "steps": [_step(settings)], "config": {}},
        "results": _results(rows, len(samples)),
    }


def _spec(of: Evaluated, settings: Config, manifest: Mapping[str, Any], samples: Sequence[str], model: str) -> Json:
    """Return the log's specification: time, versions and commit are the run's, from its manifest, for how long the
    evaluation took is not recorded."""
    git = manifest.get("git")
    revision = {"type": "git", "origin": "", "commit": git["commit"], "dirty": git["dirty"]} if git else None
    judges = {judge.name: [{"model": needed.model} for needed in judge.needs()] for judge in settings.judges}
    about = {"arm": of.arm, "checkpoint": of.checkpoint, "matchup": of.matchup}
    return {
        "eval_id": of.id,
        "run_id": short_hash(of.run),
        "task_id": of.id,
        "created": manifest["created"],
        "task": of.task,
        "task_args": about,
        "dataset": {
            "name": settings.questions.kind,
            "samples": len(samples),
            "sample_ids": list(samples),
            "shuffled": False,
        },
        "model": model,
        "model_args": {"base": ", ".join(dict.fromkeys(debater.model for debater in settings.debaters))},
        "model_generate_config": {
            "temperature": settings.debater.temperature,
            "max_tokens": settings.debater.max_tokens,
        },
        "model_roles": {name: models for name, models in judges.items() if models},
        "config": {},
        "revision": revision,
        "packages": dict(manifest.get("versions", {})),
        "scorers": [{"name": judge.name} for judge in settings.judges],
        "metadata": {**about, "seed": settings.seed, "protocol": settings.protocol.name},
    }


def _step(settings: Config) -> Json:
    protocol = settings.protocol
    rules = {"rounds": protocol.rounds, "max_words": protocol.max_words, "simultaneous": protocol.simultaneous}
    return {"solver": protocol.name, "params": rules}


def _results(rows: pd.DataFrame, total: int) -> Json:
    return {
        "total_samples": total,
        "completed_samples": total,
        "scores": [_score(str(judge), own) for judge, own in rows.groupby("judge", sort=False)],
    }


def _score(judge: str, rows: pd.DataFrame) -> Json:
    """Return a judge's accuracy over debates; INVALID verdicts are left out, as everywhere."""
    valid = rows[rows["valid"]]
    right = p_right(valid)
    found = cluster_mean(favours(right), valid["story_id"])
    ends = {} if found.low != found.low else {"low": found.low, "high": found.high}
    metrics = {"accuracy": {"name": "accuracy", "value": found.estimate, "metadata": ends}} if found.n else {}
    return {
        "name": judge,
        "scorer": judge,
        "scored_samples": found.n,
        "unscored_samples": len(rows) - found.n,
        "metrics": metrics,
        "metadata": {"judge_role": rows["judge_role"].iloc[0]},
    }
