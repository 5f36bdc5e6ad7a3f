"""The configuration reference, from the classes that validate it: `python -m rostrum.launch.reference >
docs/configuration.md`.

A field's type and bounds come from pydantic, its meaning from the string below it in the class, and the choices of a
group from configs/ with the comment at the top of each file.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rostrum.launch.fields import classes, fields, has_fields
from rostrum.launch.groups import CONFIGS
from rostrum.rewards.calibration import Calibration
from rostrum.rewards.endpoint.config import Endpoint
from rostrum.rewards.judges import ModelSettings
from rostrum.rewards.judges import settings_by_kind as judges_by_kind
from rostrum.trainer.config import Config

OURS = "rostrum"
"""What installed packages add is not in the page."""
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "at least this many:"}


@dataclass(frozen=True, slots=True)
class Key:
    """A row of a table: a key, what it takes, what it is if it is left out, and what it means."""

    name: str
    takes: str
    default: str
    meaning: str


def page() -> str:
    """Return docs/configuration.md."""
    return "\n".join([*_head(), *_groups(), *_sections()])


def _head() -> Iterator[str]:
    yield "# Configuration reference\n"
    yield "Written by `python -m rostrum.launch.reference > docs/configuration.md`; a test holds it against the code.\n"
    yield "Hydra composes a configuration from `configs/`, and the classes of this page validate it once."
    yield "On the command line a group is chosen by `GROUP=CHOICE`, and a key is set by `GROUP.KEY=VALUE`."
    yield "`KEY=null` is none.\n"
    yield "The column *default* is that of the class; a choice of `configs/` may set another."
    yield "*Must be set* is set by `configs/config.yaml`, by the choices of its group, or by you.\n"


def _groups() -> Iterator[str]:
    """Yield every group of configs/ with its choices and what each says of itself."""
    chosen = {
        key: value
        for entry in yaml.safe_load((CONFIGS / "config.yaml").read_text("utf-8"))["defaults"]
        if isinstance(entry, dict)
        for key, value in entry.items()
    }
    yield "## Groups and their choices\n"
    for folder in sorted(path for path in CONFIGS.iterdir() if any(path.glob("*.yaml"))):
        yield f"### Choices of {folder.name}\n"
        default = chosen.get(folder.name)
        yield f"The default is `{folder.name}={default}`.\n" if default else "There is no default.\n"
        yield "| choice | what it is |\n|---|---|"
        for path in sorted(folder.glob("*.yaml")):
            yield f"| `{path.stem}` | {_cell(_comment(path))} |"
        yield ""


def _comment(path: Path) -> str:
    """Return the comment at the top of a YAML file, without Hydra's own line."""
    lines = path.read_text("utf-8").splitlines()
    own = [line for line in lines if not line.startswith("# @package")]
    top = next((number for number, line in enumerate(own) if not line.startswith("#")), len(own))
    return " ".join(line.lstrip("# ") for line in own[:top])


def _sections() -> Iterator[str]:
    """Yield a table of the keys at the top, then one for each section, or for each of the kinds that it can be."""
    known = _meanings(Config)
    sections = {name: _ours(classes(field.annotation, held=False)) for name, field in Config.model_fields.items()}
    yield "## Keys\n"
    yield from _table([_key(name, Config.model_fields[name], known) for name, kinds in sections.items() if not kinds])
    for name, kinds in sections.items():
        if name not in ("judge", "heldout_judges") and kinds:
            yield from _section(name, kinds)
        for kind in _by_name(Config.model_fields[name].annotation):
            yield from _section(f"{name}.NAME", [kind])
    yield from _judges()


def _section(name: str, kinds: list[type]) -> Iterator[str]:
    yield f"## {name}\n"
    for kind in kinds:
        if len(kinds) > 1:
            yield f"### {name}: {_kind(kind)}\n"
        yield f"{_first_sentences(kind)}\n"
        yield from _table(list(_keys(kind, f"{name}.")))


def _judges() -> Iterator[str]:
    """Yield what judges have in common once, then what each kind adds, then what a key of theirs may hold."""
    common = {key.name for key in _keys(ModelSettings, "judge.")} - {"judge.kind"}
    yield "## judge\n"
    yield "`heldout_judges` is a list of judges, each with these keys.\n"
    yield "### judge: every kind that reads with one model\n"
    yield from _table(list(_keys(ModelSettings, "judge.")))
    for kind in _ours(judges_by_kind().values()):
        name, shared = _kind(kind), issubclass(kind, ModelSettings)
        yield f"### judge: {name}\n"
        yield _first_sentences(kind) + ("\nIt has the keys above, and:\n" if shared else "\n")
        yield from _table([key for key in _keys(kind, "judge.") if not shared or key.name not in common])
    parts: dict[str, type] = {"endpoint": Endpoint, "calibration": Calibration}
    for title, kind in parts.items():
        yield f"### judge: {title}\n"
        yield f"{_first_sentences(kind)}\n"
        yield from _table(list(_keys(kind, f"judge.{title}.")))


def _table(keys: list[Key]) -> Iterator[str]:
    if not keys:
        yield "It has no keys.\n"
        return
    yield "| key | takes | default | meaning |\n|---|---|---|---|"
    for key in keys:
        yield f"| `{key.name}` | {key.takes} | {key.default} | {_cell(key.meaning)} |"
    yield ""


def _keys(kind: type, prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a section, those of a section inside it under their dotted names."""
    meanings = _meanings(kind)
    for name, field in fields(kind).items():
        inner = [
            part for part in classes(field.annotation, held=False) if part is not Endpoint and part is not Calibration
        ]
        if len(inner) == 1 and not _is_any_judge(field.annotation):
            if NoneType in get_args(field.annotation):
                yield Key(f"{prefix}{name}", "section", _default(field), meanings.get(name, _first_sentences(inner[0])))
            yield from _keys(inner[0], f"{prefix}{name}.")
        else:
            yield _key(f"{prefix}{name}", field, meanings)
        for kind_by_name in _by_name(field.annotation):
            yield from _keys(kind_by_name, f"{prefix}{name}.NAME.")


def _by_name(annotation: Any) -> list[type]:
    """Return the class with fields whose instances are held by name; nothing where none are."""
    parts = get_args(annotation) if get_origin(annotation) in (dict, Mapping) else ()
    return [part for part in parts if has_fields(part)]


def _key(name: str, field: FieldInfo, meanings: dict[str, str]) -> Key:
    return Key(name, _takes(field), _default(field), meanings.get(name.rpartition(".")[2], ""))


def _meanings(kind: type) -> dict[str, str]:
    """Return the string below each field of a class and of the classes that it is made from."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base in (object, BaseModel) or base.__module__ == "abc":
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[field.target.id] = str(below.value.value)
    return found


def _ours(kinds: Iterable[type]) -> list[type]:
    return [kind for kind in kinds if kind.__module__.partition(".")[0] == OURS]


def _is_any_judge(annotation: Any) -> bool:
    return set(judges_by_kind().values()) <= set(classes(annotation, held=False))


def _kind(kind: type[BaseModel]) -> str:
    """Return the name by which a configuration chooses this class among its siblings."""
    named = kind.model_fields.get("kind") or kind.model_fields["name"]
    return str(get_args(named.annotation)[0])


def _takes(field: FieldInfo) -> str:
    bounds = [f"{sign} {value}" for name, sign in BOUNDS.items() for value in _bounds(field.metadata, name)]
    return ", ".join([_type(field.annotation), *bounds])


def _bounds(metadata: list[Any], name: str) -> Iterator[Any]:
    yield from (getattr(entry, name) for entry in metadata if getattr(entry, name, None) is not None)


def _type(annotation: Any) -> str:
    """Return a type in words of YAML."""
    if _is_any_judge(annotation):
        return "a judge" + (" or none" if NoneType in get_args(annotation) else "")
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [f"{s} {v}" for e in parts[1:] for n, s in BOUNDS.items() for v in _bounds([e, *_inner(e)], n)]
        return " ".join([_type(parts[0]), *bounds])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in parts)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in sorted(parts, key=lambda part: part is NoneType)))
    if origin in (list, tuple):
        return f"list of {_type(parts[0])}"
    if origin in (dict, Mapping):
        return f"{_type(parts[1])} by name"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{value.value}`" for value in annotation)
    if has_fields(annotation):
        return "section"
    names = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "`true` or `false`",
        Path: "path",
        NoneType: "none",
        Any: "anything",
    }
    return names[annotation]


def _inner(entry: Any) -> list[Any]:
    return entry.metadata if isinstance(entry, FieldInfo) else []


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return f"`{value.kind}`" if hasattr(value, "kind") else ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Mapping) and any(map(is_dataclass, value.values())):
        return ", ".join(f"`{name}`" for name in value)
    if isinstance(value, tuple):
        value = [getattr(part, "value", part) for part in value]
    return f"`{value}`"


def _first_sentences(kind: type) -> str:
    """Return the first paragraph of a class's docstring, each sentence on a line of its own."""
    words = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
    return re.sub(r"(?<=[\w)`][.?!]) (?=[A-Z`])", "\n", words)


def _cell(text: str) -> str:
    """Return a text that stays in its cell of a table."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    print(page(), end="")
