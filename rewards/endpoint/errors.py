"""Errors as servers tell of them: with a status, or inside an answer with status 200, in a list or the first choice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "unauthenticated": 401,
    "insufficient_quota": 402,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "not_found": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "too_many_requests": 429,
}
"""The HTTP status that an error's code, type or status in words stands for."""
_UNKNOWN = 500
"""Stands for an error inside an answer with status 200 that does not say what it is: it may pass."""
_OK = 200


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error that a server told of."""

    status: int
    """That of the answer; where that was 200, what the error's own code stands for."""
    message: str = ""
    code: str = ""
    after_work: bool = False
    """Whether the server may have done the work all the same, and charge for it."""


def error_in(status: int, text: str) -> ServerError | None:
    """Return the error that an answer tells of; None where it has status 200 and tells of none."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    told = _told(answer)
    in_choice = _of_first_choice(answer) if told is None else None
    if told is None and in_choice is None:
        return None if status == _OK else ServerError(status)
    error = told if told is not None else in_choice
    if not isinstance(error, dict):
        error = {"message": error}
    code = str(error.get("code") or error.get("type") or error.get("status") or "")
    message = str(error.get("message") or error.get("detail") or error.get("msg") or "")
    return ServerError(_status(error) if status == _OK else status, message, code, after_work=in_choice is not None)


def _told(answer: Any) -> Any:
    """Return what an answer says of an error, a text or an object; None if it says nothing of one."""
    if isinstance(answer, list):
        return next((told for item in answer if (told := _told(item)) is not None), None)
    if not isinstance(answer, dict):
        return None
    for name in ("error", "errors"):
        if told := answer.get(name):
            return told[0] if isinstance(told, list) else told
    bare = "choices" not in answer and any(answer.get(name) for name in ("message", "detail", "msg"))
    return answer if bare or answer.get("object") == "error" else None


def _of_first_choice(answer: Any) -> Any:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return (first.get("error") or None) if isinstance(first, dict) else None


def _status(error: Mapping[str, Any]) -> int:
    """Return the status that an error's own words stand for."""
    for name in ("code", "status_code", "status", "type"):
        value = error.get(name)
        if isinstance(value, str) and value.lower() in _STATUSES:
            return _STATUSES[value.lower()]
        number = int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else 0
        if 400 <= number < 600:
            return number
    return _UNKNOWN
