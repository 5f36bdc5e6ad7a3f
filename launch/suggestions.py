"""Which key was meant by one that does not exist."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from rostrum.launch.errors import nearest


def key_like(location: Sequence[str | int], root: type) -> str | None:
    """Return the key, dotted, that was meant by one that is not there.

    Args:
        location: Where pydantic missed it: names of fields, tags of unions and places in lists, the missed key last.
        root: The class that was validated.
    """
    *above, missed = location
    sections, path = [root], list[str]()
    for part in above:
        inner = [kind for section in sections if part in _fields(section) for kind in _sections(_fields(section)[part])]
        tagged = [section for section in sections if part in _tags(section)]
        if inner or any(part in _fields(section) for section in sections):
            path.append(str(part))
            sections = inner
        elif isinstance(part, int):
            path.append(str(part))
        elif tagged:
            sections = tagged
    found = nearest(str(missed), sorted({str(name) for section in sections for name in _fields(section)}))
    return None if found is None else ".".join([*path, found])


def _fields(section: type) -> dict[str | int, Any]:
    """Return the annotation of every field by name."""
    if issubclass(section, BaseModel):
        return {name: field.annotation for name, field in section.model_fields.items()}
    if dataclasses.is_dataclass(section):
        return {field.name: field.type for field in dataclasses.fields(section)}
    return {}


def _sections(annotation: Any) -> Iterator[type]:
    """Every class with fields that a value of this annotation may be, or hold."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation):
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _sections(inner)


def _tags(section: type) -> set[Any]:
    """The values by which a union knows the class: of its `kind` or `name`."""
    fields = _fields(section)
    return {tag for field in ("kind", "name") for tag in get_args(fields.get(field))}
