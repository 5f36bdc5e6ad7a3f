"""The page of each arm: what it measures from the verdicts, what it lists, and that debater text stays text on it."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rostrum.rewards.audit.reliability import calibration
from rostrum.trainer.evaluation.summary import ArmSummary, Summary
from rostrum.trainer.reading import DamagedError
from rostrum.trainer.report import write_report
from rostrum.trainer.report.arms import measures, tournaments
from rostrum.trainer.report.arms.arm_page import names
from rostrum.trainer.report.tournament_page import fitted
from tests.trainer.report.made_runs import PAYLOAD, Reader, debate, embedded, make_run, summary

RTL = "\u202egnp.exe\u2066"
JUDGES = (("weak-judge", "reward"), ("other-judge", "held-out"))
ARM = "free debate"


def verdict(question: str, p_a: float, **other: Any) -> dict[str, Any]:
    """A valid verdict of the reward judge on a debate of the base with itself, in which side A is right."""
    return {
        "arm": ARM,
        "protocol": "debate-sequential",
        "checkpoint": "base",
        "iteration": 0,
        "matchup": "self",
        "checkpoint_seats": "AB",
        "question_id": question,
        "story_id": f"story of {question}",
        "swapped_seats": False,
        "judge": "weak-judge",
        "judge_role": "reward",
        "p_given": p_a,
        "p_swapped": p_a,
        "p_mean": p_a,
        "valid": True,
        "reason": "",
        "correct_seat": "A",
        "speeches": 4,
        "words": 24,
        "quotes": 4,
        "verified_quotes": 3,
        **other,
    }


def trained(question: str, p_a: float, **other: Any) -> dict[str, Any]:
    return verdict(question, p_a, **{"checkpoint": "iteration-0020", "iteration": 20, **other})


def by_both(rows: list[dict[str, Any]], held_out: float) -> pd.DataFrame:
    """The rows, and those of a held-out judge that always says the same."""
    other = [{**row, "judge": "other-judge", "judge_role": "held-out", "p_mean": held_out} for row in rows]
    return pd.DataFrame([*rows, *other])


def table() -> pd.DataFrame:
    """Eight questions. Trained, the judge goes wrong on q1 (from .9 to .05) and q3 (from .8 to .4)."""
    base = [verdict(f"q{n}", p) for n, p in enumerate((0.9, 0.9, 0.3, 0.8, 0.9, 0.7, 0.6, 0.2))]
    later = [trained(f"q{n}", p) for n, p in enumerate((0.9, 0.05, 0.3, 0.4, 0.9, 0.7, 0.6, 0.8))]
    met = [trained(f"q{n}", 0.7, matchup="base", checkpoint_seats="AB"[n % 2]) for n in range(8)]
    return by_both([*base, *later, *met], 0.45)


def with_debates(folder: Path, extra: str = "", text: str = "where is the apple ?") -> Path:
    """A run whose middle arm has verdicts, and of it the debates on q1: the base's and the trained one's."""
    kept = [debate(ARM, 1, extra=extra) | {"checkpoint": name} for name in ("iteration-0020", "base")]
    for record in kept:
        record["transcript"]["question"]["text"] = text
        record["transcript"]["answers"] = ["kitchen" + extra, "office" + extra]
        for speech, side in zip(record["transcript"]["speeches"], "ABA", strict=True):
            speech |= {"policy": "checkpoint", "side": side}
    run = make_run(folder, debates=kept)
    table().to_parquet(run / "verdicts.parquet")
    return run


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a run with its report."""
    run = with_debates(tmp_path_factory.mktemp("reported") / "run")
    write_report(run)
    return run


def page_of(run: Path, name: str = "free-debate") -> str:
    write_report(run)
    return (run / "pages" / f"{name}.html").read_text("utf-8")


def test_the_gap_is_what_the_reward_judge_gives_the_checkpoints_side_beyond_the_other() -> None:
    found = measures.gaps(table(), "other-judge")
    assert found[20].estimate == pytest.approx((4 * (0.7 - 0.45) + 4 * (0.3 - 0.55)) / 8) and found[20].n == 8
    assert found[0].estimate == 0 and np.isnan(found[0].low), "the base meets nobody but itself"
    alone = by_both([verdict("q", 0.6, checkpoint_seats="A"), trained("q", 0.8, checkpoint_seats="A")], 0.5)
    assert [of.estimate for of in measures.gaps(alone, "other-judge").values()] == pytest.approx([0.1, 0.3])


def test_an_invalid_verdict_of_either_judge_is_in_no_gap() -> None:
    rows = table()
    rows.loc[(rows["judge"] == "other-judge") & (rows["question_id"] == "q0"), "valid"] = False
    rows.loc[(rows["judge"] == "weak-judge") & (rows["question_id"] == "q1"), "valid"] = False
    assert measures.gaps(rows, "other-judge")[20].n == 6


def test_relabelling_the_seats_changes_no_measure() -> None:
    rows = table()
    sides = rows["checkpoint_seats"].map({"A": "B", "B": "A", "AB": "AB"})
    turned = rows.assign(p_mean=1 - rows["p_mean"], correct_seat="B", checkpoint_seats=sides)
    ours, theirs = (measures.gaps(of, "other-judge") for of in (rows, turned))
    assert all(ours[at].estimate == pytest.approx(theirs[at].estimate) for at in (0, 20))
    sure, as_sure = (measures.calibrations(of, "weak-judge") for of in (rows, turned))
    for at in (0, 20):
        assert sure[at].brier.score.estimate == pytest.approx(as_sure[at].brier.score.estimate)
        assert sure[at].ece.estimate == pytest.approx(as_sure[at].ece.estimate)


def test_calibration_is_that_of_an_audit_on_the_debates_with_itself() -> None:
    found = measures.calibrations(table(), "weak-judge")
    rows = table()[lambda of: (of["judge"] == "weak-judge") & (of["matchup"] == "self") & (of["iteration"] == 20)]
    assert found[20].ece == calibration(measures.table_of(rows)).ece and found[20].n == 8
    assert found[20].brier.score.estimate == pytest.approx(((1 - rows["p_mean"]) ** 2).mean())


def test_words_and_quotes_are_counted_per_speech() -> None:
    assert measures.per_speech(table(), "words")[20].estimate == 6
    assert measures.per_speech(table(), "verified_quotes")[0].estimate == 0.75


def test_the_page_measures_lists_and_leads_to_the_debates(reported: Path) -> None:
    page = (reported / "pages" / "free-debate.html").read_text("utf-8")
    text = Reader(page).text.replace("\xa0", " ")
    for heading in (
        "Judge accuracy",
        "Win rate by side",
        "Brier score",
        "Calibration error",
        "Gap between judges",
        "Words per speech",
        "Quotes per speech",
    ):
        assert heading in text
    assert "95.0 % 55.0 % other-judge read" in text, "q1: by the reward judge, by the other one, and a link"
    assert "90.0 % 5.0 % 55.0 % other-judge trained · base" in text
    assert text.count("not kept") == 4, "q2 and q3, and of the failures q3 and its counterpart, are not stored"
    assert page.count('href="#debate=0"') == 2 and page.count('href="#debate=1"') == 1
    rows = embedded(page)["debates"]
    assert [row["checkpoint"] for row in rows] == ["iteration-0020", "base"]
    assert rows[0]["ranks"] == {"persuasive": 0, "failures": 0} and "ranks" not in rows[1]
    assert rows[0]["sides"] == "AB"


def test_every_link_of_every_page_leads_somewhere(reported: Path) -> None:
    pages = [reported / "report.html", *sorted((reported / "pages").iterdir())]
    assert len(pages) == 4
    followed = 0
    for page in pages:
        for _, attributes in Reader(page.read_text("utf-8")).elements:
            href = attributes.get("href") or "#"
            if not href.startswith("#"):
                assert (page.parent / href).is_file(), href
                followed += 1
    files = [path.name for path in (reported / "figures").iterdir()]
    assert len({name.partition(".")[0] for name in files}) * 2 == len(files) and followed >= len(files)


def test_hostile_text_is_text_and_nothing_in_it_is_hidden(tmp_path: Path) -> None:
    page = page_of(with_debates(tmp_path / "run", extra=PAYLOAD + RTL, text=PAYLOAD + RTL))
    reader = Reader(page)
    found = [name for name, _ in reader.elements]
    packed = "application/octet-stream+base64"
    kinds = [attributes.get("type") for name, attributes in reader.elements if name == "script"]
    assert kinds == [packed, packed, packed, None, packed, packed] and "img" not in found
    assert not any(char in page for char in RTL if char in "\u202e\u2066") and "\\u202e" not in page
    assert f"{PAYLOAD}\N{REPLACEMENT CHARACTER}gnp.exe" in " ".join(reader.words)
    assert embedded(page)["debates"][0]["question"].startswith(PAYLOAD)
    assert all("<script" not in path.read_text("utf-8") for path in (tmp_path / "run" / "figures").iterdir())


def test_the_page_runs_this_script_and_loads_nothing(reported: Path) -> None:
    page = (reported / "pages" / "free-debate.html").read_text("utf-8")
    policy = next(a["content"] or "" for _, a in Reader(page).elements if a.get("http-equiv"))
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[-1]
    assert policy.startswith("default-src 'none'; ")
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    for name, attributes in Reader(page).elements:
        assert name not in ("link", "img", "iframe", "object", "embed", "base") and "src" not in attributes
        assert not any(key.startswith("on") or key == "style" for key in attributes)


def test_without_verdicts_the_page_shows_what_the_summary_knows(tmp_path: Path) -> None:
    text = Reader(page_of(make_run(tmp_path / "run"))).text
    assert "Judge accuracy" in text and "Brier" not in text and "persuasive wrong ones" in text
    assert "Most persuasive wrong debates" not in text


def test_pages_have_plain_names_that_differ() -> None:
    arms = [ArmSummary(name=name) for name in ("debate", "Debate!", "../../etc", "débat", "—")]
    files = list(names(arms).values())
    assert files == ["debate.html", "debate-2.html", "etc.html", "d-bat.html", "arm.html"]


def arm_of(number: int) -> ArmSummary:
    return Summary.model_validate(summary()).arms[number]


def test_a_win_rate_is_a_rating_over_the_base() -> None:
    assert tournaments.elo(0.5) == 0 and tournaments.elo(10 / 11) == pytest.approx(400)
    assert tournaments.elo(0.2) == pytest.approx(-tournaments.elo(0.8))
    weak, other = tournaments.from_win_rates(arm_of(0))
    assert weak.heading == "weak-judge" and weak.drawing is not None
    rows = [dict(zip(weak.drawing.table.columns, row, strict=True)) for row in weak.drawing.table.rows]
    last = next(row for row in rows if row["label"] == "iteration 20")
    assert last["rating (Elo), from the win rate against the base"] == pytest.approx(tournaments.elo(0.63))
    assert last["judge accuracy"] == 0.833 and rows[0]["label"] == "base"
    assert "its interval needs a tournament" in weak.note
    assert tournaments.from_win_rates(arm_of(2)) == [], "a consultant meets nobody"


def test_a_win_rate_of_one_has_no_rating() -> None:
    arm = summary()["arms"][0]
    arm["checkpoints"][2]["win_rate"] = {"estimate": 1.0, "low": 0.9, "high": 1.0}
    (weak, _) = tournaments.from_win_rates(ArmSummary.model_validate(arm))
    assert weak.drawing is not None
    assert [row[1] for row in weak.drawing.table.rows if row[1]] == ["base", *(f"iteration {n}" for n in (5, 15, 20))]


def test_the_fitted_line_goes_through_the_middle_with_its_slope() -> None:
    points = [tournaments.Point(x, y) for x, y in ((0, 0.7), (100, 0.6), (200, 0.65))]
    assert tournaments.slope(points) == pytest.approx(-2.5), "2.5 points less per 100 Elo"
    (line,) = fitted(points, -2.5)
    assert [(p.x, pytest.approx(p.y)) for p in line.points] == [(0, 0.675), (200, 0.625)]
    assert tournaments.slope(points[:2]) is None and fitted(points, None) == []


PLAYER = {"elo": [0.0, -10.0, 10.0], "accuracy": [0.7, 0.6, 0.8]}


def standings(*players: str) -> dict[str, Any]:
    found = {name: PLAYER | {"elo": [50.0 * n, 50.0 * n - 10, 50.0 * n + 10]} for n, name in enumerate(players)}
    slope = {"points_per_100_elo": -9.04, "low": -12.5, "high": -5.3}
    group = {"players": list(players), "judges": {"weak-judge": {"players": found, "slope": slope}}}
    return {"anchor": "base", "groups": {"debate": group}}


@pytest.mark.parametrize("place", ["", "tournament", "tournaments/debate"])
def test_a_tournament_in_the_folder_is_shown_with_its_slope(tmp_path: Path, place: str) -> None:
    run = make_run(tmp_path / "run")
    (run / place).mkdir(parents=True, exist_ok=True)
    (run / place / "tournament.json").write_text(json.dumps(standings("base", f"{ARM} 10", f"{ARM} 20")))
    text = Reader(page_of(run)).text.replace("\xa0", " ")
    assert "−9.0 points of accuracy per 100 Elo among these checkpoints (95 % interval −12.5 to −5.3)" in text
    assert "rated in a tournament" not in (run / "pages" / "truthful-debate.html").read_text("utf-8")
    assert (run / "figures" / "accuracy-against-rating-free-debate-weak-judge-rated-in-a-tournament.csv").is_file()


def test_a_tournament_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for content in ("{", "{}"):
        (run / "tournament.json").write_text(content)
        with pytest.raises(DamagedError, match="tournament.json.*run `rostrum tournament` again, or take it away"):
            write_report(run)
