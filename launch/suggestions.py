"""Which key was meant by one that does not exist."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from rostrum.launch.errors import nearest
from rostrum.launch.fields import classes, fields


def key_like(location: Sequence[str | int], root: type) -> str | None:
    """Return the key, dotted, that was meant by one that is not there.

    Args:
        location: Where pydantic missed it: names of fields, tags of unions and places in lists, the missed key last.
        root: The class that was validated.
    """
    *above, missed = location
    sections, path, by_name = [root], list[str](), False
    for part in above:
        own = [fields(section)[part] for section in sections if part in fields(section)]
        inner = [kind for field in own for kind in classes(field.annotation)]
        tagged = [section for section in sections if part in _tags(section)]
        if own:
            path.append(str(part))
            sections, by_name = inner, any(get_origin(field.annotation) in (dict, Mapping) for field in own)
        elif isinstance(part, int) or by_name:
            path.append(str(part))
            by_name = False
        elif tagged:
            sections = tagged
    found = nearest(str(missed), sorted({str(name) for section in sections for name in fields(section)}))
    return None if found is None else ".".join([*path, found])


def _tags(section: type) -> set[Any]:
    """Return the values by which a union knows the class: of its `kind` or `name`."""
    own = fields(section)
    return {tag for name in ("kind", "name") if name in own for tag in get_args(own[name].annotation)}
