"""The page of an audit: whole without a network, text stays text, and nothing in it that was not measured."""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import pytest

from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol, Transcript
from rostrum.rewards.audit.cost import Cost
from rostrum.rewards.audit.gate import gate, passes
from rostrum.rewards.audit.options import AuditOptions
from rostrum.rewards.audit.sections import SECTIONS, Case, findings, plain
from rostrum.rewards.audit.table import read
from rostrum.rewards.labelled import Labelled, with_key
from rostrum.rewards.scripted import ScriptedJudge
from rostrum.rewards.types import Usage
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.audit.audit_page import render as render_into
from rostrum.trainer.report.audit.words import COLUMNS, result, sentence

WORLD = TestimonyWorld(train=0, heldout=20)
PAYLOAD = "</style><script>alert(1)</script><img src=x>"


def render(record: dict[str, Any]) -> str:
    return render_into(record, Album())


def debates() -> list[Labelled]:
    silent = Protocol("debate", rounds=1)
    played = [Transcript(q, silent, q.answers, False, (), {"match": q.id}) for q in WORLD.questions("heldout")]
    return with_key(played, WORLD.answer_key("heldout"))


def arm(name: str, skip: Sequence[str] = (), **faults: Any) -> dict[str, Any]:
    options = AuditOptions(skip=list(skip))
    judge = ScriptedJudge(WORLD.answer_key("heldout"), name=name, **faults)
    found = findings(Case(judge, debates(), read(judge, debates()), Cost(20, 0.1, Usage(40)), options))
    checks = gate(found, options.thresholds)
    return {
        "name": name,
        "role": "reward",
        "judge": {"name": name},
        "passed": passes(checks),
        "checks": plain(checks),
        "found": found,
        "more_right_than_first": None,
    }


def record(*arms: dict[str, Any]) -> dict[str, Any]:
    about = {"n": 20, "stories": 20, "source": PAYLOAD, "protocol": "debate"}
    options = AuditOptions().model_dump(mode="json")
    return {"created": "today", "debates": about, "options": options, "arms": list(arms), "stored_ratings": None}


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = render(record(arm("one"), arm("two", position_bias=3.0)))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page.replace("&#39;", "'")
    assert not re.search(r"<(script|link|img|iframe)|<[^>]*\ssrc=|url\(|https?://", page)


def test_names_reasons_and_sources_are_escaped() -> None:
    page = render(record(arm(PAYLOAD)))
    assert "<script" not in page and "<img" not in page
    assert "&lt;script&gt;" in page


def test_pass_and_fail_are_said_of_each_threshold() -> None:
    biased = arm("biased", position_bias=3.0)
    assert not biased["passed"]
    page = render(record(biased))
    assert "biased: <strong>FAIL</strong>" in page
    assert "swap consistency" in page and "must be at least 80" in page
    assert page.count(">FAIL<") >= 2
    failed = {check["threshold"] for check in biased["checks"] if result(check) == "FAIL"}
    assert {"swap_consistency", "position_bias"} <= failed


@pytest.mark.parametrize("faults", [{}, {"invalid_every": 1}, {"ties": 1.0}])
def test_every_section_is_drawn_whatever_was_found(faults: dict[str, Any]) -> None:
    page = render(record(arm("judge", **faults)))
    for name in SECTIONS:
        assert (f'<section id="{name}">' in page) == (name not in ("agreement", "routing"))


def test_what_was_skipped_is_a_dash_in_the_table_and_no_section() -> None:
    partial = arm("partial", skip=[name for name in SECTIONS if name != "accuracy"])
    page = render(record(partial))
    assert '<section id="accuracy">' in page and '<section id="calibration">' not in page
    assert [column.value(partial) for column in COLUMNS][3:] == ["–"] * (len(COLUMNS) - 3)


def test_a_threshold_in_words() -> None:
    check = {
        "threshold": "position_bias",
        "what": "position bias δ",
        "must": "be within ±",
        "limit": 0.05,
        "measured": -0.008,
        "low": -0.0157,
        "high": -0.0002,
        "passed": True,
    }
    assert sentence(check) == "position bias δ: −0.8 points (−1.6 to 0.0), must be within ±5 points"
    unknown = check | {"measured": None, "low": None, "high": None, "passed": None}
    assert (result(unknown), sentence(unknown)) == (
        "not measured",
        "position bias δ: these debates do not tell, must be within ±5 points",
    )


def test_wide_tables_can_be_scrolled_with_the_keyboard() -> None:
    """On a phone they are wider than the page."""
    page = render(record(arm("one"), arm("two", position_bias=3.0)))
    wrapped = re.findall(r'<div class="scroll" role="region" aria-label="[^"]+" tabindex="0">\s*<table', page)
    assert len(wrapped) == page.count("<table") > 4
