"""What a configuration that somebody else may have written is not allowed by itself: a folder that was downloaded is
evaluated, a judge's YAML is borrowed, and neither must read this machine's environment, send its keys to a server, have
prompt templates rendered or join a cluster. Each is done if the command line of the moment names it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rostrum.envs.prompts.prompt_sets import is_builtin
from rostrum.launch.errors import LaunchError, tell
from rostrum.launch.fields import leaves

_RESOLVER = re.compile(r"\$\{.*?:", re.DOTALL)
_HERE = (None, "auto", "local")
"""Addresses of a cluster that are this machine's own business."""


def refuse_resolvers(values: Any, source: object) -> None:
    """Refuse `${oc.env:...}` and whatever else OmegaConf would look up while it reads a value.

    Raises:
        LaunchError: a value does so; the message names it.
    """
    for key, value in leaves(values, lists=True):
        if isinstance(value, str) and _RESOLVER.search(value):
            raise LaunchError(
                f"{source} has {value!r} at {key}, and only a command line may ask for what is in the environment: "
                f"write the value there, or give {key}=... on the command line."
            )


def without_keys(values: Any) -> Any:
    """Return the values with no environment variable named for the key of any endpoint, so that none is sent."""
    if isinstance(values, list):
        return [without_keys(value) for value in values]
    if not isinstance(values, Mapping):
        return values
    kept = {key: without_keys(value) for key, value in values.items()}
    if isinstance(values.get("endpoint"), Mapping):
        kept["endpoint"] = {**values["endpoint"], "key_variable": None}
    return kept


def default_keys(overrides: Sequence[str]) -> list[str]:
    """Return the dotted keys of `key_variable` that fall back to their default since this command line names the
    endpoint itself."""
    given = dict(map(parts, overrides))
    addresses = [key.removesuffix("base_url") for key in given if key.endswith("endpoint.base_url")]
    return [f"{key}key_variable" for key in addresses if f"{key}key_variable" not in given]


def check(values: Mapping[str, Any], source: object, overrides: Sequence[str]) -> list[str]:
    """Refuse prompt folders and a cluster that the overrides do not name; return the overrides without those that only
    repeat what the values say.

    Raises:
        LaunchError: something is not named; the message says how.
    """
    given, repeated = dict(map(parts, overrides)), list[str]()
    for key, value in entrusted(values):
        if key.endswith("key_variable"):
            continue
        if given.get(key) == value:
            repeated.append(key)
        elif key not in given and not (key == "cluster.address" and "cluster" in given):
            what = "joins the Ray cluster" if key == "cluster.address" else "has prompts rendered from the folder"
            raise LaunchError(f"{source} {what} {value}: if you trust that, say so with {key}={value}.")
    return [override for override in overrides if parts(override)[0] not in repeated]


def entrusted(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield keys and values of what a command line must name: variables of endpoints' keys, prompt folders, a
    cluster."""
    for key, value in leaves(values, lists=True):
        folder = key.rpartition(".")[2] == "prompts" and isinstance(value, str) and not is_builtin(value)
        elsewhere = key == "cluster.address" and value not in _HERE
        if folder or elsewhere or (key.endswith("endpoint.key_variable") and value):
            yield key, str(value)


def tell_unsent(values: Mapping[str, Any], overrides: Sequence[str], source: object) -> None:
    """Say which keys are there and are not sent, since nobody but the source names whom to send them to."""
    given = {key for key, _ in map(parts, overrides)}
    for key, variable in entrusted(values):
        address = f"{key.removesuffix('key_variable')}base_url"
        if key.endswith("key_variable") and not given & {key, address} and os.environ.get(variable, "").strip():
            tell(f"{source} names an endpoint, which is not sent your {variable}: to send it, add {key}={variable}.")


def parts(override: str) -> tuple[str, str]:
    """Return key and value of an override, the value without quotation marks around it."""
    key, _, value = override.lstrip("+").partition("=")
    whole = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return key, value[1:-1] if whole else value
