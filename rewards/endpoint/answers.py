"""What an endpoint's answer means: a reply, a refusal, a failure that may pass, or an end to all asking."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from rostrum.rewards.endpoint import messages
from rostrum.rewards.endpoint.config import Endpoint, EndpointError
from rostrum.rewards.endpoint.errors import ServerError, error_in
from rostrum.rewards.endpoint.key import Key
from rostrum.rewards.endpoint.messages import NotAReply, Reply
from rostrum.rewards.types import Cause

_MAY_PASS = (408, 409, 425, 429)
_LONGEST = 200
"""Characters of a server's message that are repeated."""
_START = 40
"""Characters of an answer that is no reply."""
_TOO_LONG = re.compile(
    r"too long|(?:prompt|input|request|payload|message)s?\b.{0,30} too large|too many (?:input )?tokens"
    r"|context (?:length|window|size)|context_length_exceeded"
    r"|max(?:imum)?[ _](?:context|model|input|prompt)|exceed\w* .{0,40}(?:tokens|length|limit of)"
    r"|tokens.{0,40} must be (?:<|at most|less)",
    re.IGNORECASE,
)
_FLAGGED = re.compile(
    r"moderation|flagged|content[ _-]?(?:filter|polic|management)|responsible ?ai|safety|harm|prohibited", re.IGNORECASE
)
"""What servers say of a prompt that is longer than the model reads, and of one whose words they do not let pass."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not answer this request, however often it is asked (a prompt may be too long for the model)."""

    reason: str
    cause: Cause = "failure"
    """A speech, where the server says that it is the prompt's length or words."""


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
    """Return what an answer means.

    Raises:
        EndpointError: it would be the same for every request.
    """
    error = error_in(status, text)
    if error is None:
        try:
            return _without_key(messages.read(endpoint, text), key)
        except NotAReply:
            return Later(f"the endpoint's {_named(text, key)} was not in the form of OpenAI's", may_be_charged=True)
    message = _said(error.message, key)
    if (cause := _cause(error)) == "failure" and (end := _of_all(endpoint, error, bool(key.headers))):
        raise EndpointError(end)
    if error.status in _MAY_PASS or error.status >= 500:
        wait = _wait(headers.get("retry-after", ""))
        return Later(f"the endpoint answered with status {error.status}{message}", wait, error.after_work)
    return Refused(f"the endpoint refused the request with status {error.status}{message}", cause)


def _cause(error: ServerError) -> Cause:
    """Return whether the server refuses what was said in the debate, or anything else."""
    told = f"{error.code} {error.message}"
    too_long = error.status == 413 or (error.status in (400, 422) and _TOO_LONG.search(told))
    flagged = error.status in (400, 403, 422) and _FLAGGED.search(told)
    return "speech" if too_long or flagged else "failure"


def _of_all(endpoint: Endpoint, error: ServerError, with_key: bool) -> str | None:
    """Return what is to be done about an answer that every request would get. It repeats nothing that the server
    said."""
    address, variable, status = endpoint.base_url, endpoint.key_variable, error.status
    if status in (401, 403):
        wrong = f"does not accept the key in the environment variable {variable}: set it to one that may use this model"
        missing = f"asks for a key: put one into the environment variable {variable}, or name another with key_variable"
        if variable is None:
            missing = "asks for a key, and a saved configuration may not say which: name it with endpoint.key_variable"
        return f"The endpoint {address} {wrong if with_key else missing}."
    if status == 404:
        return (
            f"The endpoint {address} knows no such model, or no {endpoint.api} interface: check judge.model, "
            "endpoint.base_url and endpoint.api."
        )
    if status == 402 or error.code == "insufficient_quota":
        return f"The endpoint {address} says that the account has nothing left to spend: top it up, then go on."
    if 300 <= status < 400:
        return f"The endpoint {address} has moved: give its present address as endpoint.base_url."
    return None


def _without_key(reply: Reply, key: Key) -> Reply:
    listed = tuple((key.hide(token), value) for token, value in reply.listed)
    return replace(reply, texts=tuple(map(key.hide, reply.texts)), listed=listed)


def _said(text: str, key: Key) -> str:
    """Return ": " and what the server says in one line, shortened and without the key and control characters."""
    shown = "".join(char if char.isprintable() else " " for char in key.hide_pieces(text))
    said = " ".join(shown.split())[:_LONGEST]
    return f": {said}" if said else ""


def _named(text: str, key: Key) -> str:
    """Return "answer" with how it begins: "<html>" tells of a wrong address, "data:" of one that is streamed."""
    said = _said(text[:_LONGEST], key).removeprefix(": ")[:_START]
    return f"answer {said!r}" if said else "empty answer"


def _wait(header: str) -> float:
    """Return the seconds to wait, from a number or a date; 0 if it is neither."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0
