"""The classes that validate a configuration, walked through by their fields: for the reference, for the answers to
mistyped keys, and for files of earlier versions. And its plain values, walked through by their keys."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, is_dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def has_fields(kind: Any) -> bool:
    """Return whether this is a pydantic class or a dataclass."""
    plain = isinstance(kind, type) and get_origin(kind) is None
    return plain and (issubclass(kind, BaseModel) or is_dataclass(kind))


def fields(kind: type) -> dict[str, FieldInfo]:
    """Return the fields of a pydantic class or of a plain dataclass; nothing of any other."""
    if not has_fields(kind):
        return {}
    if issubclass(kind, BaseModel):
        return kind.model_fields
    types = inspect.get_annotations(kind, eval_str=True)
    found = {}
    for field in dataclass_fields(kind):  # type: ignore[arg-type]
        given = {"default": field.default, "default_factory": field.default_factory}
        set_ones: dict[str, Any] = {name: value for name, value in given.items() if value is not MISSING}
        found[field.name] = FieldInfo(annotation=types[field.name], **set_ones)
    return found


def classes(annotation: Any, held: bool = True) -> list[type]:
    """Return the classes with fields that a value of this annotation may be; with `held` also those that it may hold in
    a list or by name."""
    if has_fields(annotation):
        return [annotation]
    if not held and get_origin(annotation) in (dict, list, Mapping):
        return []
    return [found for part in get_args(annotation) for found in classes(part, held)]


def leaves(values: Any, where: str = "", lists: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield every key, dotted, whose value is no section; with `lists` also each entry of a list of plain values."""
    entered = isinstance(values, list) and (lists or any(isinstance(value, Mapping) for value in values))
    inner = values.items() if isinstance(values, Mapping) else enumerate(values) if entered else ()
    if not inner:
        yield where, values
    for key, value in inner:
        yield from leaves(value, f"{where}.{key}" if where else str(key), lists)
