"""A debate with its verdicts as a sample of inspect_ai: question, speeches as messages, verdicts as scores.

The right answer's seat is the target. Speeches of the evaluated checkpoint are messages of the assistant, those of an
opponent messages of the user. A verdict scores C where the judge favours the right answer, I where it does not, P
where it is exactly undecided, and N where it is INVALID.
"""

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from envs.types import Seat, Speech, Transcript
from trainer.verdicts import CHECKPOINT

Json = dict[str, Any]
CORRECT, INCORRECT, PARTIAL, NO_ANSWER = "C", "I", "P", "N"
IN_SUMMARY = ("id", "epoch", "input", "choices", "target", "scores", "uuid")
"""Fields of a sample that its line in the list of samples has as well."""


def sample(debate: Transcript, verdicts: Sequence[Mapping[str, Any]], model: str, opponent: str) -> Json:
    """The sample of a debate. `verdicts` are its rows of the table of verdicts, at least one; `model` and `opponent`
    name who spoke as the checkpoint and who did not."""
    name = f"{debate.question.id}-{'ba' if debate.swapped_seats else 'ab'}"
    spoken = [_message(debate, speech, model, opponent) for speech in debate.speeches]
    last = next((message for message in reversed(spoken) if message["role"] == "assistant"), None)
    return {
        "id": name,
        "epoch": 1,
        "input": debate.question.text,
        "choices": list(debate.answers),
        "target": verdicts[0]["correct_seat"],
        "messages": [_task(debate), *spoken],
        "output": {"model": model, "choices": [{"message": last, "stop_reason": "stop"}] if last else []},
        "scores": {row["judge"]: score(debate, row) for row in verdicts},
        "metadata": _metadata(debate, verdicts[0]),
        "uuid": sha256("/".join([model, opponent, name]).encode()).hexdigest()[:22],
    }


def summary(of: Json) -> Json:
    """A sample's line in the list of samples: without messages and passage."""
    metadata = {key: value for key, value in of["metadata"].items() if key != "passage"}
    count = len(of["messages"])
    return {key: of[key] for key in IN_SUMMARY} | {"metadata": metadata, "completed": True, "message_count": count}


def score(debate: Transcript, row: Mapping[str, Any]) -> Json:
    """A judge's verdict on the debate."""
    metadata = {
        "judge_role": row["judge_role"], "valid": bool(row["valid"]), "correct_seat": row["correct_seat"],
        **{name: _known(row[name]) for name in ("p_given", "p_swapped", "p_mean")},
    }  # fmt: skip
    if not row["valid"]:
        why = row["reason"] or "no reason given"
        if text := row.get("unreadable"):
            why += f"; it wrote: {text}"
        return {"value": NO_ANSWER, "explanation": f"INVALID: {why}", "reason": "grader_failed", "metadata": metadata}
    p = float(row["p_mean"])
    favoured = Seat.A if p > 0.5 else Seat.B if p < 0.5 else None
    value = PARTIAL if favoured is None else CORRECT if favoured == row["correct_seat"] else INCORRECT
    said = f"P(A, “{debate.answers[0]}”) = {p:.3f}{_by_order(metadata)}."
    return {"value": value, "answer": favoured and favoured.value, "explanation": said, "metadata": metadata}


def _by_order(metadata: Mapping[str, Any]) -> str:
    read = [("shown first", metadata["p_given"]), ("shown second", metadata["p_swapped"])]
    known = [f"{p:.3f} {where}" for where, p in read if p is not None]
    return f": {', '.join(known)}" if len(known) > 1 else ""


def _task(debate: Transcript) -> Json:
    """What is debated, as the first message."""
    silent = [seat for seat in Seat if seat not in debate.protocol.seats]
    sides = [
        f"{seat.value}: {answer}{' (nobody speaks for it)' if seat in silent else ''}"
        for seat, answer in zip(Seat, debate.answers, strict=True)
    ]
    return {"role": "user", "content": "\n\n".join([debate.question.text, *sides]), "source": "input"}


def _message(debate: Transcript, speech: Speech, model: str, opponent: str) -> Json:
    """A speech under the name of its seat, as judged."""
    own = speech.policy == CHECKPOINT
    metadata = {
        "seat": speech.seat.value, "ply": speech.ply, "answer": debate.answers[list(Seat).index(speech.seat)],
        "model": model if own else opponent, "words": speech.words,
        "quotes": [{"text": quote.text, "status": quote.status.value} for quote in speech.quotes],
        **({"private": speech.private} if speech.private else {}),
        **({"neutralised": dict(speech.neutralised)} if speech.neutralised else {}),
    }  # fmt: skip
    content = f"**Debater {speech.seat.value}**\n\n{speech.text}"
    message = {"role": "assistant" if own else "user", "content": content, "metadata": metadata}
    return message | ({"model": model, "source": "generate"} if own else {})


def _metadata(debate: Transcript, row: Mapping[str, Any]) -> Json:
    return {
        "question_id": debate.question.id, "story_id": debate.question.story_id, "protocol": debate.protocol.name,
        "swapped_seats": debate.swapped_seats, "checkpoint_seats": row["checkpoint_seats"],
        "verified_quotes": int(row["verified_quotes"]), "quotes": int(row["quotes"]), "words": int(row["words"]),
        "passage": debate.question.passage,
    }  # fmt: skip


def _known(p: float) -> float | None:
    return None if math.isnan(p) else float(p)
