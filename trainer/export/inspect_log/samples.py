"""A debate with its verdicts as a sample of inspect_ai: question, speeches as messages, verdicts as scores.

The right answer's side is the target. Speeches of the evaluated checkpoint are messages of the assistant, those of an
opponent messages of the user. A verdict scores C where the judge favours the right answer, I where it does not, P
where it is exactly undecided, and N where it is INVALID.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from rostrum.envs.types import Side, Speech, Transcript
from rostrum.rewards.types import favours
from rostrum.trainer.evaluation.verdict_table import CHECKPOINT
from rostrum.trainer.policies import belongs

Json = dict[str, Any]
CORRECT, INCORRECT, PARTIAL, NO_ANSWER = "C", "I", "P", "N"
IN_SUMMARY = ("id", "epoch", "input", "choices", "target", "scores", "uuid")
"""Fields of a sample that its line in the list of samples has as well."""


@dataclass(frozen=True, slots=True)
class Log:
    """The log that a sample is in: its id, when the run was made, and who spoke as the checkpoint and who did not."""

    id: str
    created: str
    model: str
    opponent: str


def short_hash(*parts: str) -> str:
    """Return an id of the length of inspect_ai's own."""
    return sha256("/".join(parts).encode()).hexdigest()[:22]


def sample(debate: Transcript, verdicts: Sequence[Mapping[str, Any]], log: Log) -> Json:
    """Return the sample of a debate. `verdicts` are its rows of the table of verdicts, at least one."""
    name = f"{debate.question.id}-{'ba' if debate.swapped_seats else 'ab'}"
    uuid, model = short_hash(log.id, name), log.model
    messages = [_task(debate), *(_message(debate, speech, log) for speech in debate.speeches)]
    messages = [{"id": short_hash(uuid, "message", str(place)), **each} for place, each in enumerate(messages)]
    spoken = messages[1:]
    scores = {row["judge"]: score(debate, row) for row in verdicts}
    last = next((message for message in reversed(spoken) if message["role"] == "assistant"), None)
    return {
        "id": name,
        "epoch": 1,
        "input": debate.question.text,
        "choices": list(debate.answers),
        "target": verdicts[0]["correct_seat"],
        "messages": messages,
        "output": {"model": model, "choices": [{"message": last, "stop_reason": "stop"}] if last else []},
        "scores": scores,
        "metadata": _metadata(debate, verdicts[0]),
        "uuid": uuid,
        "events": [
            {"uuid": short_hash(uuid, "event", str(place)), "timestamp": log.created, "working_start": 0.0, **event}
            for place, event in enumerate(_events(messages, scores, verdicts[0]["correct_seat"], model))
        ],
    }


def _events(messages: Sequence[Json], scores: Mapping[str, Json], target: str, model: str) -> Iterator[Json]:
    """Yield what happened, as far as inspect_ai's tables of messages and events are made from it: every speech of the
    checkpoint as a call of its model on all that was said before, and of every judge its reading of the whole debate
    and its score."""
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            made = {"model": model, "choices": [{"message": message, "stop_reason": "stop"}]}
            yield _call(model, messages[:place], made)
    for judge, found in scores.items():
        yield _call(judge, messages, {"model": judge, "choices": []}) | {"role": judge}
        yield {"event": "score", "score": found, "target": target, "scorer": judge}


def _call(model: str, read: Sequence[Json], made: Json) -> Json:
    about = {"event": "model", "model": model, "tools": [], "tool_choice": "none", "config": {}}
    return {**about, "input": list(read), "output": made}


def summary(of: Json) -> Json:
    """Return a sample's line in the list of samples: without messages and passage."""
    metadata = {key: value for key, value in of["metadata"].items() if key != "passage"}
    count = len(of["messages"])
    return {key: of[key] for key in IN_SUMMARY} | {"metadata": metadata, "completed": True, "message_count": count}


def score(debate: Transcript, row: Mapping[str, Any]) -> Json:
    """Return a judge's verdict on the debate."""
    metadata = {
        "judge_role": row["judge_role"],
        "valid": bool(row["valid"]),
        "correct_seat": row["correct_seat"],
        **{name: _known(row[name]) for name in ("p_given", "p_swapped", "p_mean")},
    }
    if not row["valid"]:
        why = row["reason"] or "no reason given"
        if text := row.get("unreadable"):
            why += f"; it wrote: {text}"
        return {"value": NO_ANSWER, "explanation": f"INVALID: {why}", "reason": "grader_failed", "metadata": metadata}
    p = float(row["p_mean"])
    favoured = {1.0: Side.A, 0.0: Side.B}.get(favours(p))
    value = PARTIAL if favoured is None else CORRECT if favoured == row["correct_seat"] else INCORRECT
    said = f"P(A, “{debate.answers[0]}”) = {p:.3f}{_by_order(metadata)}."
    return {"value": value, "answer": favoured and favoured.value, "explanation": said, "metadata": metadata}


def _by_order(metadata: Mapping[str, Any]) -> str:
    read = [("shown first", metadata["p_given"]), ("shown second", metadata["p_swapped"])]
    known = [f"{p:.3f} {where}" for where, p in read if p is not None]
    return f": {', '.join(known)}" if len(known) > 1 else ""


def _task(debate: Transcript) -> Json:
    """Return what is debated, as the first message."""
    silent = [side for side in Side if side not in debate.protocol.sides]
    sides = [
        f"{side.value}: {answer}{' (nobody speaks for it)' if side in silent else ''}"
        for side, answer in zip(Side, debate.answers, strict=True)
    ]
    return {"role": "user", "content": "\n\n".join([debate.question.text, *sides]), "source": "input"}


def _message(debate: Transcript, speech: Speech, log: Log) -> Json:
    """Return a speech under the name of its side, as judged. It is numbered, since inspect_ai takes one message that is
    like the one before it for the same."""
    own = belongs(speech.policy, CHECKPOINT)
    metadata = {
        "speaker": debate.label(speech),
        "side": speech.side.value,
        "turn": speech.turn,
        "answer": debate.answers[list(Side).index(speech.side)],
        "model": log.model if own else log.opponent,
        "words": speech.words,
        "quotes": [{"text": quote.text, "status": quote.status.value} for quote in speech.quotes],
        **({"private": speech.private} if speech.private else {}),
        **({"neutralised": dict(speech.neutralised)} if speech.neutralised else {}),
    }
    content = f"**Debater {debate.label(speech)}, speech {speech.turn + 1}**\n\n{speech.text}"
    message = {"role": "assistant" if own else "user", "content": content, "metadata": metadata}
    return message | ({"model": log.model, "source": "generate"} if own else {})


def _metadata(debate: Transcript, row: Mapping[str, Any]) -> Json:
    return {
        "question_id": debate.question.id,
        "story_id": debate.question.story_id,
        "protocol": debate.protocol.name,
        "swapped_seats": debate.swapped_seats,
        "checkpoint_seats": row["checkpoint_seats"],
        "verified_quotes": int(row["verified_quotes"]),
        "quotes": int(row["quotes"]),
        "words": int(row["words"]),
        "passage": debate.question.passage,
    }


def _known(p: float) -> float | None:
    return None if math.isnan(p) else float(p)
