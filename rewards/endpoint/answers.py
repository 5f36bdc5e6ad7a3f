"""What an endpoint's answer means: a reply, a refusal, a failure that may pass, or an end to all asking."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from rewards.endpoint import messages
from rewards.endpoint.key import Key
from rewards.endpoint.messages import NotAReply, Reply
from rewards.endpoint.settings import Endpoint, EndpointError

_MAY_PASS = (408, 409, 425, 429)
_LONGEST = 200
"""Characters of a server's message that are repeated."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not answer this request, however often it is asked (a prompt may be too long for the model)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """A failure that may pass."""

    reason: str
    wait: float = 0.0
    """Seconds that the server asks to wait."""
    may_be_charged: bool = False
    """Whether the server may have done the work all the same."""


def read_answer(
    endpoint: Endpoint, key: Key, status: int, headers: Mapping[str, str], text: str
) -> Reply | Refused | Later:
    """What an answer means.

    Raises:
        EndpointError: it would be the same for every request.
    """
    if status == 200:
        try:
            return _without_key(messages.read(endpoint, text), key)
        except NotAReply:
            return Later("the endpoint's answer was not in the form of OpenAI's", may_be_charged=True)
    message, code = _message(text, key)
    if error := _of_all(endpoint, status, code, bool(key.headers)):
        raise EndpointError(error)
    if status in _MAY_PASS or status >= 500:
        return Later(f"the endpoint answered with status {status}{message}", _wait(headers.get("retry-after", "")))
    return Refused(f"the endpoint refused the request with status {status}{message}")


def _of_all(endpoint: Endpoint, status: int, code: str, with_key: bool) -> str | None:
    """What is to be done about an answer that every request would get. It repeats nothing that the server said."""
    address, variable = endpoint.base_url, endpoint.key_variable
    if status in (401, 403):
        wrong = f"does not accept the key in the environment variable {variable}: set it to one that may use this model"
        missing = f"asks for a key: put one into the environment variable {variable}, or name another with key_variable"
        return f"The endpoint {address} {wrong if with_key else missing}."
    if status == 404:
        return f"The endpoint {address} knows no such model, or no {endpoint.api} interface: check judge.model, " \
               "endpoint.base_url and endpoint.api."  # fmt: skip
    if status == 402 or code == "insufficient_quota":
        return f"The endpoint {address} says that the account has nothing left to spend: top it up, then go on."
    if 300 <= status < 400:
        return f"The endpoint {address} has moved: give its present address as endpoint.base_url."
    return None


def _without_key(reply: Reply, key: Key) -> Reply:
    listed = tuple((key.hide(token), value) for token, value in reply.listed)
    return replace(reply, texts=tuple(map(key.hide, reply.texts)), listed=listed)


def _message(text: str, key: Key) -> tuple[str, str]:
    """": " and what the server says of an error, shortened and without the key, and the error's code."""
    try:
        error = json.loads(text)
    except ValueError:
        return "", ""
    error = error.get("error", error) if isinstance(error, dict) else {}
    if not isinstance(error, dict):
        error = {"message": error}
    said = " ".join(key.hide_pieces(str(error.get("message") or "")).split())[:_LONGEST]
    return (f": {said}" if said else ""), str(error.get("code") or error.get("type") or "")


def _wait(header: str) -> float:
    """Seconds, from a number or a date; 0 if it is neither."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0
