"""The audit gate: is the audit that a judge's settings name this judge's, and did the judge pass?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from rostrum.rewards.judges import JudgeSettings
from rostrum.trainer.store.judge_identity import PARTS, difference, file_hash, identity


class AuditError(ValueError):
    """A judge that may not be trained against; the message says why and what to do."""


class _Check(BaseModel):
    threshold: str
    passed: bool | None


class _Arm(BaseModel):
    judge: dict[str, Any]
    passed: bool
    checks: list[_Check]


class _Audit(BaseModel):
    """What matters here of an audit.json."""

    arms: list[_Arm]


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What training says about the judge's audit, and what the manifest records of it (None: there is none)."""

    sentence: str
    record: Mapping[str, Any] | None


def audit_gate(settings: JudgeSettings) -> GateRecord:
    """Return the audit that the judge's settings name.

    Raises:
        AuditError: the file is no audit, or one of another judge, or the judge failed and judge.audit is "refuse".
    """
    if settings.audited is None:
        return GateRecord(f"The judge {settings.name} has not been audited: see `rostrum audit --help`.", None)
    arm = _own(_read(settings.audited), settings)
    failed = [check.threshold for check in arm.checks if check.passed is False]
    record = {"file": str(settings.audited), "sha256": file_hash(settings.audited), "failed": failed}
    if arm.passed:
        return GateRecord(
            f"The judge {settings.name} passed its audit ({settings.audited}).", record | {"passed": True}
        )
    what = ", ".join(failed) or "that nothing could be measured of it"
    found = f"The judge {settings.name} failed its audit in {what} ({settings.audited})"
    if settings.audit == "refuse":
        raise AuditError(f"{found}: take another judge, or train against it all the same with judge.audit=warn.")
    return GateRecord(f"{found}; training goes on since judge.audit=warn.", record | {"passed": False})


def _read(path: Path) -> list[_Arm]:
    """Return the judges of an audit."""
    try:
        return _Audit.model_validate_json(path.read_bytes()).arms
    except (OSError, ValidationError):
        raise AuditError(
            f"judge.audited={path} is no audit: give the audit.json that `rostrum audit` wrote, or leave it out."
        ) from None


def _own(arms: list[_Arm], settings: JudgeSettings) -> _Arm:
    """Return the judge's own part of the audit; if there is none, the error names what the most similar one differs
    in."""
    here = identity(settings)
    apart = [difference(arm.judge, here) for arm in arms]
    if None in apart:
        return arms[apart.index(None)]
    what = max((part for part in apart if part is not None), key=PARTS.index, default="name")
    raise AuditError(
        f"{settings.audited} is the audit of another judge than {settings.name} (its {what} differ"
        f"{'s' if what == 'name' else ''}): audit this one with `rostrum audit`, or leave judge.audited out."
    )
