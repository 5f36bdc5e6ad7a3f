"""Finished runs as the report reads them, made up for its tests, and a reader of the pages that come of them."""

import base64
import gzip
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from rostrum.trainer.report import write_report

PAYLOAD = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"
PASSAGE = "in the kitchen anna saw it . in the office boris saw it . not in the hall carla saw it ."


def interval(estimate: float, half: float = 0.03) -> dict[str, float]:
    return {"estimate": estimate, "low": max(0.0, estimate - half), "high": min(1.0, estimate + half)}


def accuracy(judge: str, role: str, base: float, trained: float, headline: str) -> dict[str, Any]:
    change = trained - base
    return {
        "judge": judge,
        "role": role,
        "base": base,
        "trained": trained,
        "change": change,
        "low": change - 0.032,
        "high": change + 0.032,
        "p": 0.0001 if abs(change) > 0.04 else 0.42,
        "headline": headline,
        "n_questions": 400,
        "n_stories": 400,
        "n_invalid": 3,
        "base_interval": [base - 0.044, base + 0.044],
        "trained_interval": [trained - 0.04, trained + 0.04],
    }


SENTENCES = {
    "raised": "Training raised the reward judge's accuracy from 70.5 % to 83.3 % (change +12.8 points).",
    "lowered": "Training lowered the reward judge's accuracy from 72.0 % to 55.3 % (change -16.7 points).",
    "no change shown": (
        "No change shown: 62.1 % to 61.9 % (change -0.2 points); with 400 questions 4.6 points would have been found"
        " with 80 % power."
    ),
}
CURVES = {
    "raised": ([0.705, 0.848, 0.850, 0.845, 0.833], [0.50, 0.56, 0.58, 0.61, 0.63], [0.74, 0.92, 0.84, 0.91, 0.84]),
    "lowered": ([0.720, 0.608, 0.523, 0.515, 0.553], [0.50, 0.82, 0.90, 0.92, 0.91], [0.74, 0.52, 0.34, 0.33, 0.26]),
    "no change shown": (
        [0.621, 0.646, 0.648, 0.619, 0.619],
        [0.72, 0.77, 0.80, 0.82, 0.82],
        [0.74, 0.9, 0.9, 0.9, 0.9],
    ),
}


def arm(name: str, headline: str, protocol: str = "debate-sequential") -> dict[str, Any]:
    right, wins, quotes = CURVES[headline]
    points_of = [
        {
            "checkpoint": f"iteration-{5 * i:04d}" if i else "base",
            "iteration": 5 * i,
            "accuracy": {
                "weak-judge": interval(right[i], 0.042),
                "other-judge": interval(0.5 + 0.9 * (right[i] - 0.5)),
            },
            "win_rate": interval(wins[i], 0.025) if i else {"estimate": wins[0], "low": None, "high": None},
            "win_rate_right": interval(min(0.97, wins[i] + 0.15)),
            "win_rate_wrong": interval(wins[i] - 0.15),
            "verified_quotes": quotes[i],
            "words_per_speech": 7.1 + 0.1 * i,
        }
        for i in range(5)
    ]
    rows = [
        accuracy("weak-judge", "reward", right[0], right[4], headline),
        accuracy("other-judge", "held-out", right[0] + 0.02, right[4] + 0.01, headline),
    ]
    if protocol == "consultancy":
        rows[0] |= {"given_right": {"base": 0.85, "trained": 0.96}, "given_wrong": {"base": 0.39, "trained": 0.27}}
    return {
        "name": name,
        "protocol": protocol,
        "headline": headline,
        "sentence": SENTENCES[headline],
        "minimum_detectable_change": 0.0457,
        "win_rate": interval(wins[4])
        | {
            "by_side": {"right": interval(0.78), "wrong": interval(0.48)},
            "against": "the judge (approval)" if protocol == "consultancy" else "base debaters",
        },
        "verified_quotes": {"base": quotes[0], "trained": quotes[4]},
        "words_per_speech": {"base": 7.1, "trained": 7.5},
        "accuracy": rows,
        "checkpoints": points_of,
    }


def summary() -> dict[str, Any]:
    references = [
        {
            "protocol": protocol,
            "judge": "weak-judge",
            "role": "reward",
            "accuracy": interval(value),
            "n_questions": 400,
            "n_invalid": 0,
        }
        for protocol, value in [("naive", 0.50), ("expert", 0.946)]
    ]
    arms = [
        arm("truthful debate", "raised"),
        arm("free debate", "lowered"),
        arm("truthful consultancy", "no change shown", "consultancy"),
    ]
    return {"schema_version": 1, "arms": arms, "references": references}


def quote(text: str, words: str, status: str = "exact", negated: bool = False) -> dict[str, Any]:
    start, place = text.index(words), PASSAGE.find(words)
    source = [[place, place + len(words)]] if status != "unverified" else []
    return {
        "text": words,
        "start": start,
        "end": start + len(words),
        "status": status,
        "source": source,
        "after_negation": negated,
    }


def debate(arm_name: str, number: int, passage: str = PASSAGE, extra: str = "") -> dict[str, Any]:
    first = "in the kitchen anna saw it"
    second = "in the garden dora saw it"
    third = "in the hall carla saw it"
    texts = [
        f"<v_quote> {first} </v_quote>{extra}",
        f"so <u_quote> {second} </u_quote>",
        f"<v_quote> {third} </v_quote> !",
    ]
    quotes = [quote(texts[0], first), quote(texts[1], second, "unverified"), quote(texts[2], third, "normalised", True)]
    speeches = [
        {
            "speaker": side,
            "side": side,
            "turn": turn,
            "text": text,
            "quotes": [found],
            "words": 6,
            "policy": "current",
            "policy_version": 20,
        }
        for turn, (side, text, found) in enumerate(zip("ABA", texts, quotes, strict=True))
    ]
    question = {
        "id": f"q{number}",
        "story_id": f"s{number}",
        "text": f"where is the apple {number} ?",
        "answers": ["kitchen", "office"],
        "passage": passage,
    }
    return {
        "arm": arm_name,
        "checkpoint": "iteration-0020" if number % 2 else "base",
        "matchup": "self",
        "judge": "weak-judge",
        "correct_seat": "AB"[number % 3 == 0],
        "p_after": [0.5, 0.81, 0.62, 0.9],
        "transcript": {
            "question": question,
            "answers": ["kitchen", "office"],
            "swapped_seats": False,
            "protocol": {"name": "debate-sequential", "rounds": 2},
            "speeches": speeches,
        },
    }


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def make_run(folder: Path, content: dict[str, Any] | None = None, debates: list[dict[str, Any]] | None = None) -> Path:
    """A run folder with three arms of twenty iterations and a few debates."""
    content = summary() if content is None else content
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(content))
    for slot, row in enumerate(content["arms"]):
        arm_folder = folder / "arms" / row["name"]
        arm_folder.mkdir(parents=True)
        metrics = [
            {"iteration": i, "reward": 0.2 * slot + 2 * (1 - math.exp(-i / 6)) + 0.15 * math.sin(3 * i + slot),
             "kl": 0.02 * i * (1 + slot), "entropy": 2.1 * math.exp(-i / 25) - 0.2 * slot,
             "verified_quotes": 0.74 + (0.1 if slot != 1 else -0.45) * (1 - math.exp(-i / 5)), "seconds": 8.2}
            for i in range(1, 21)
        ]  # fmt: skip
        (arm_folder / "metrics.jsonl").write_text(lines(metrics))
        judge = [{"iteration": i, "judge_accuracy": 0.7 + 0.05 * math.sin(i), "n": 128} for i in range(1, 21)]
        (arm_folder / "training_accuracy.jsonl").write_text(lines(judge))
    if debates is None:
        debates = [debate(row["name"], number) for row in content["arms"] for number in range(4)]
    (folder / "debates.jsonl").write_text(lines(debates))
    (folder / "manifest.json").write_text(
        json.dumps(
            {
                "title": "Testimony world, three arms",
                "created": "2026-11-21",
                "config": {"seed": 1},
                "versions": {"trl": "1.16.0"},
            }
        )
    )
    return folder


def page_of(run: Path) -> str:
    return write_report(run).read_text("utf-8")


class Reader(HTMLParser):
    """The elements of a page with their attributes, and the text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._silent = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def unpacked(page: str, name: str) -> bytes:
    """The content of a block of a page."""
    found = re.search(rf'id="packed-{name}">([A-Za-z0-9+/=]*)</script>', page)
    assert found, name
    return gzip.decompress(base64.b64decode(found[1]))


def embedded(page: str) -> Any:
    """The debates of a page as they were before they were packed, and its passages."""
    index = json.loads(unpacked(page, "index"))
    passages, rest = (
        [item for start in index["starts"][kind] for item in json.loads(unpacked(page, f"{kind}-{start}"))]
        for kind in ("passages", "debates")
    )
    return {"passages": passages, "debates": [a | b for a, b in zip(index["debates"], rest, strict=True)]}
