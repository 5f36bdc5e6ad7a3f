"""Stored JSON objects that are written and read by the same class."""

import math
from typing import Annotated, Any, overload

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

DECIMALS = 6


def _known(value: Any) -> Any:
    """Return None for NaN and infinities: they are no JSON, and here they mean "not measured"."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Figure = Annotated[float | None, BeforeValidator(_known)]
"""A number that may not be known."""


class Record(BaseModel):
    """A JSON object whose keys are stored in the order of the fields; a field that was not given is not stored.

    Reading takes any field but the required ones as missing, and passes over keys that it does not know; where a field
    must hold something, a null means the same as a missing key.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_missing(cls, data: Any) -> Any:
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        may_be_null = {name for name, field in cls.model_fields.items() if field.default is None}
        return {key: value for key, value in data.items() if value is not None or key in may_be_null}

    def stored(self) -> dict[str, Any]:
        """Return the object as it is stored: plain values, floats of 6 decimals."""
        values: dict[str, Any] = jsonable(self.model_dump(exclude_unset=True))
        return values


@overload
def jsonable(value: dict[str, Any]) -> dict[str, Any]: ...


@overload
def jsonable(value: Any) -> Any: ...


def jsonable(value: Any) -> Any:
    """Return plain Python, floats of 6 decimals, None for NaN."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(float(value), DECIMALS) + 0.0
    return value
