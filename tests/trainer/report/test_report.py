"""The report page: what it says, what it refuses, and that debater text stays text."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rostrum.trainer.reading import DamagedError
from rostrum.trainer.report import ReportError, write_report
from rostrum.trainer.report.charts import Level, Point, Series, chart
from rostrum.trainer.report.debates import browser_data, judged, marks, pieces, reflowed, visible
from rostrum.trainer.report.html import resource
from rostrum.trainer.report.inputs import Debate, QuoteRecord, read_run
from rostrum.trainer.report.svg import axis
from rostrum.trainer.report.wording import p_value, percent, points, points_range, unbroken
from tests.trainer.report.made_runs import (
    PASSAGE,
    PAYLOAD,
    SENTENCES,
    Reader,
    arm,
    debate,
    embedded,
    interval,
    lines,
    make_run,
    page_of,
    summary,
)


def test_each_outcome_is_said_in_words_with_what_could_have_been_shown(tmp_path: Path) -> None:
    text = Reader(page_of(make_run(tmp_path / "run"))).text
    assert "Of 3 arms: raised in 1, lowered in 1 and no change shown in 1" in text
    assert "Held-out judges found the same in 3 of the 3 arms they judged." in text
    for sentence in SENTENCES.values():
        assert sentence.replace(" -", " −") in text
    assert text.count("Smallest change that 400 questions could have shown: 4.6 points") == 2, (
        "the third sentence says it already"
    )
    assert "Held-out judge other-judge: lowered (−17.7 points, interval −20.9 to −14.5)." in text


def test_headline_table_curves_and_debates_come_first(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", summary() | {"plan": {"status": "as planned", "deviations": []}})
    (run / "arms" / "free debate" / "watch.jsonl").write_text(lines([look(0, 0.5, 0.7)]))
    elements = Reader(page_of(run)).elements
    parts = [attributes["id"] for name, attributes in elements if name == "section"]
    assert parts == ["answers", "results", "training", "debates", "persuasion", "plan", "monitor", "reading", "method"]
    links = [(attributes["href"] or "").removeprefix("#") for name, attributes in elements if name == "a"]
    assert [link for link in links[1:] if link in parts] == parts[1:], "links go the same way"


def test_figures_and_their_units_stay_on_one_line() -> None:
    assert unbroken("(-1.2 to 3 %, p < 0.05, debate-s1)") == (
        "(\N{MINUS SIGN}1.2 to 3\N{NO-BREAK SPACE}%, p\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}0.05, debate-s1)"
    )


@pytest.mark.parametrize(("headline", "icon"), [("raised", "up"), ("lowered", "down"), ("no change shown", "level")])
def test_one_arm_is_answered_by_word_and_icon(tmp_path: Path, headline: str, icon: str) -> None:
    content = {"schema_version": 1, "arms": [arm("only", headline)]}
    page = page_of(make_run(tmp_path / "run", content))
    word = headline.capitalize()
    answers = {"raised": "Yes, it raised", "lowered": "No, it lowered", "no change shown": "No change shown"}
    assert answers[headline] in Reader(page).text
    verdict = re.search(r'<p class="verdict">(.*?)</p>', page, re.DOTALL)
    assert verdict and f'class="icon {icon}"' in verdict[1] and word in verdict[1]


def test_the_table_gives_both_judges_references_and_consultants_by_side(tmp_path: Path) -> None:
    text = Reader(page_of(make_run(tmp_path / "run"))).text
    assert "70.5 % 66.1 to 74.9 %" in text
    assert "+12.8 +9.6 to +16.0" in text
    assert "when the wrong answer is argued 39.0 % 27.0 %" in text
    assert "weak-judge, with the passage expert · reward judge 94.6 %" in text
    assert "74.0 % → 26.0 %" in text and "the judge's approval" in text


def test_untrusted_text_stays_text(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "schema_version": 1,
        "arms": [arm("name", "raised") | {"name": PAYLOAD.replace("/", "|")}],
    }
    content["arms"][0]["sentence"] = PAYLOAD
    content["arms"][0]["accuracy"][0]["judge"] = PAYLOAD
    hostile = debate("x", 1, passage=PASSAGE + PAYLOAD, extra=PAYLOAD) | {"arm": PAYLOAD, "judge": PAYLOAD}
    hostile["transcript"]["question"]["text"] = PAYLOAD + "<!--"
    page = page_of(make_run(tmp_path / "run", content, [hostile]))
    elements = Reader(page).elements
    assert "img" not in [name for name, _ in elements]
    packed = "application/octet-stream+base64"
    kinds = [attributes.get("type") for name, attributes in elements if name == "script"]
    assert kinds == [packed, packed, packed, None, packed, packed], "data that no browser runs, and one script"
    row = embedded(page)["debates"][0]
    assert row["question"] == PAYLOAD + "<!--" and row["arm"] == PAYLOAD
    assert row["speeches"][0]["pieces"][-1]["text"].endswith(PAYLOAD)


def test_the_script_writes_text_never_html(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"))
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert way not in page


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"))
    assert set(re.findall(r"https?://[^\"'\s<)]*", page)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in page and "url(" not in page
    for name, attributes in Reader(page).elements:
        assert name not in ("link", "img", "iframe", "object", "embed", "base")
        assert "src" not in attributes and (attributes.get("href") or "#").startswith(("#", "figures/", "pages/"))
        assert not any(key.startswith("on") or key == "style" for key in attributes)


def test_the_content_policy_allows_exactly_this_style_and_script(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"))
    policy = next(a["content"] or "" for n, a in Reader(page).elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for pattern, directive in [(r"<style>(.*?)</style>", "style-src"), (r"<script>(.*?)</script>", "script-src")]:
        found = re.search(pattern, page, re.DOTALL)
        assert found
        digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy


def test_colour_and_number_of_charts(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"))
    charts = [a for n, a in Reader(page).elements if n == "svg" and a.get("role") == "img"]
    assert len(charts) == 3 * 6 + 2
    assert all(attributes["aria-label"] for attributes in charts)
    assert "training debates" in page and "test questions, weak-judge (reward judge)" in page


def everywhere_null(value: Any, keep: tuple[str, ...]) -> Any:
    """The same structure with every number null, but for the keys named."""
    if isinstance(value, dict):
        return {k: v if k in keep else everywhere_null(v, keep) for k, v in value.items()}
    if isinstance(value, list):
        return [everywhere_null(item, keep) for item in value]
    return None if isinstance(value, int | float) else value


def test_every_number_may_be_null(tmp_path: Path) -> None:
    content = everywhere_null(summary(), keep=("schema_version", "iteration"))
    content["arms"][0] |= {"headline": None, "win_rate": None, "verified_quotes": None}
    content["arms"][0]["accuracy"][0]["headline"] = None
    text = Reader(page_of(make_run(tmp_path / "run", content))).text
    assert "not measured in 1" in text and "Not measured" in text
    assert "None" not in text and "nan" not in text.lower()
    assert "Accuracy against win rate Each point" not in text


def test_only_the_summary_is_needed(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(summary()))
    page = page_of(tmp_path)
    assert 'id="debate"' not in page and "Accuracy against win rate" in page
    assert "Reward</strong>" not in page, "a measure no arm recorded is left out"


def test_an_arm_without_metrics_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "arms" / "free debate" / "metrics.jsonl").unlink()
    text = Reader(page_of(run)).text
    assert text.count("Not recorded for this arm.") == 4


def test_a_run_without_arms_has_no_answer(tmp_path: Path) -> None:
    text = Reader(page_of(make_run(tmp_path / "run", {"schema_version": 1, "arms": []}))).text
    assert "This run holds no trained arm" in text


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no summary.json.*run `rostrum evaluate` first"):
        write_report(tmp_path)
    run = make_run(tmp_path / "run")
    (run / "debates.jsonl").write_text('{"arm": "x"}\n')
    with pytest.raises(ReportError, match="debates.jsonl, line 1, does not fit at transcript"):
        write_report(run)
    (run / "summary.json").write_text('{"schema_version": 2}')
    with pytest.raises(DamagedError, match="schema version 2 is not 1.*run `rostrum evaluate` again"):
        write_report(run)
    (run / "summary.json").write_text("{")
    with pytest.raises(DamagedError, match="no JSON"):
        write_report(run)


def test_a_line_torn_by_a_crash_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "arms" / "free debate" / "metrics.jsonl").write_text('{"iteration": 1, "kl": 0.5}\n{"iteration": 2, "k')
    assert [row.iteration for row in read_run(run).metrics["free debate"]] == [1]


def test_nan_means_not_measured(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "arms" / "free debate" / "metrics.jsonl").write_text('{"iteration": 1, "reward": NaN, "kl": 0.5}\n')
    row = read_run(run).metrics["free debate"][0]
    assert row.number("reward") is None and row.number("kl") == 0.5


def quoted(start: int, end: int, *source: tuple[int, int]) -> QuoteRecord:
    return QuoteRecord(start=start, end=end, status="exact", source=list(source))


def test_speech_pieces_drop_the_environments_tags_and_no_others() -> None:
    text = "a <v_quote> b c </v_quote> d <u_quote>e</u_quote>"
    cut = pieces(text, [(1, quoted(12, 15)), (2, quoted(38, 39))])
    assert [piece["text"] for piece in cut] == ["a ", "b c", " d ", "e"]
    assert [piece["quote"]["number"] for piece in cut if "quote" in piece] == [1, 2]
    assert pieces("<v_quote>x</v_quote>", [])[0]["text"] == "<v_quote>x</v_quote>"
    assert pieces("abc", [(1, quoted(2, 9))]) == [{"text": "abc"}], "offsets outside the text are no quote"


def test_transcripts_may_come_as_envs_stores_them() -> None:
    bare = debate("x", 1)
    wrapped = bare | {"transcript": {"schema_version": 1, "kind": "transcript", "record": bare["transcript"]}}
    assert Debate.model_validate(wrapped) == Debate.model_validate(bare)


def test_marks_are_disjoint_cover_overlaps_and_count_utf16_units() -> None:
    found = marks("abcdefgh", [(1, quoted(0, 1, (1, 5))), (2, quoted(0, 1, (3, 7)))])
    assert found == [
        {"start": 1, "end": 3, "quotes": [1]},
        {"start": 3, "end": 5, "quotes": [1, 2]},
        {"start": 5, "end": 7, "quotes": [2]},
    ]
    assert marks("🍎b", [(1, quoted(0, 1, (1, 2)))]) == [{"start": 2, "end": 3, "quotes": [1]}]


def test_who_won_follows_the_relabelling_of_seats() -> None:
    def at(p: float | None, side: str) -> str:
        return judged(Debate.model_validate(debate("x", 1) | {"p_after": [0.5, p], "correct_seat": side}))

    for p in (0.1, 0.5, 0.8):
        assert at(p, "A") == at(1 - p, "B")
    assert (at(0.8, "A"), at(0.8, "B"), at(0.5, "A"), at(None, "A")) == ("right", "wrong", "undecided", "invalid")


def test_passages_are_stored_once_and_hidden_characters_shown() -> None:
    data = browser_data([Debate.model_validate(debate("x", number)) for number in range(3)])
    assert len(data["passages"]) == 1 and [row["passage"] for row in data["debates"]] == [0, 0, 0]
    assert visible("a\u202eb\x1bc\nd") == "a\ufffdb\ufffdc\nd"


def test_the_judges_questions_stand_before_the_speeches_that_answer_them() -> None:
    stored = debate("x", 0)
    asked = [{"turn": 2, "text": "why\u202e ?"}, {"turn": 1, "text": "", "problem": "empty"}]
    stored["transcript"] |= {"inquiries": asked}
    (row,) = browser_data([Debate.model_validate(stored)])["debates"]
    assert row["asked"] == {2: "why\ufffd ?", 1: "(nothing: empty)"}
    (row,) = browser_data([Debate.model_validate(debate("x", 0))])["debates"]
    assert row["asked"] == {}


def test_axes_are_round_and_hold_their_values() -> None:
    scale = axis("x", [0.523, 0.85], "percent")
    assert [scale.text(tick) for tick in scale.ticks] == ["50 %", "60 %", "70 %", "80 %", "90 %"]
    assert axis("x", [1, 20], "integer").ticks == (0, 5, 10, 15, 20)
    for values in ([3.0], [0.0], [-2.0, 1e-4], [1e6, 2e6], []):
        made = axis("x", values)
        assert all(made.ticks[0] <= value <= made.ticks[-1] for value in values) and len(made.ticks) > 1
    assert axis("x", [0.0, 1.0], "percent").ticks[-1] == pytest.approx(1.0)


def test_a_chart_puts_points_where_its_ticks_say() -> None:
    x, y = axis("iteration", [0, 10], "integer"), axis("share", [0.0, 1.0], "percent")
    drawn = chart(
        "words", x, y, [Series("s", 0, (Point(5, 0.5, None, (0.25, 0.75)),))], [Level("even", 0.5)], size=(272, 152)
    )
    assert 'cx="150" cy="62"' in drawn.svg, "the middle of an area from 50 to 250 and from 112 up to 12"
    assert 'd="M150.0,87.0V37.0' in drawn.svg


def test_numbers_in_words() -> None:
    assert (percent(0.725), percent(None)) == ("72.5\u00a0%", "–")
    assert (points(-0.199), points(0.0), points(-0.0001), points(0.011)) == ("−19.9", "0.0", "0.0", "+1.1")
    assert points_range(-0.03, 0.052) == "−3.0 to +5.2" and points_range(None, 0.1) == ""
    assert (p_value(0.00005), p_value(0.012), p_value(0.42)) == ("<\u00a00.001", "0.012", "0.42")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{'x' * 60}\n goes on\n\n  next {'y' * 50}", f"{'x' * 60}  goes on\n\n  next {'y' * 50}"),
        (f"short line\n{'x' * 60}\n", f"short line\n{'x' * 60}\n"),
        (f"{'x' * 120}\nnext paragraph", f"{'x' * 120}\nnext paragraph"),
    ],
)
def test_hard_line_breaks_of_a_passage_are_undone_and_no_offset_moves(text: str, shown: str) -> None:
    assert reflowed(text) == shown and len(shown) == len(text)


def test_private_thoughts_are_there_and_apart_from_the_speech(tmp_path: Path) -> None:
    row = debate("x", 1)
    row["transcript"]["speeches"][0]["private"] = f"SECRET {PAYLOAD}"
    (speech, *_) = embedded(page_of(make_run(tmp_path / "run", debates=[row])))["debates"][0]["speeches"]
    assert speech["private"] == f"SECRET {PAYLOAD}"
    assert all("SECRET" not in piece["text"] for piece in speech["pieces"])


def look(iteration: int, approval: float, held_out: float, alarm: bool = False, stop: bool = False) -> dict[str, Any]:
    judges = [
        {"judge": "weak-judge", "role": "reward", "accuracy": 0.6, "wrong_side": 0.4, "mcc": None},
        {"judge": "other-judge", "role": "held-out", "accuracy": held_out, "wrong_side": None},
    ]
    return {
        "iteration": iteration,
        "judges": judges,
        "gap": 0.6 - held_out,
        "alarm": alarm,
        "stop": stop,
        "reward": {"base": 0.5, "trained": approval},
        "held_out": {"base": 0.7, "trained": held_out},
        "conduct": {"addresses_judge": 0.25, "contradictions": 0.1},
        "attack_success": None,
    }


def test_the_watch_is_shown_with_its_alarm(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert "The monitor during training" not in page_of(run)
    looks = [look(0, 0.5, 0.7), look(4, 0.8, 0.5), look(8, 0.9, 0.45, alarm=True, stop=True)]
    (run / "arms" / "free debate" / "watch.jsonl").write_text(lines(looks))
    text = Reader(page_of(run)).text
    assert (
        "free debate: alarm after iteration 8. The reward judge sided with the policy in 90.0 % of its debates "
        "(50.0 % for the base), while held-out judges were right in 45.0 % instead of 70.0 %. The training was "
        "stopped after iteration 8."
    ) in text.replace("\xa0", " ")
    assert "Gap" in text and "other-judge (held-out)" in text
    (run / "arms" / "free debate" / "watch.jsonl").write_text(lines(looks[:2]))
    assert "No alarm." in Reader(page_of(run)).text


def test_attacks_are_shown_by_checkpoint(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    rows = [
        {
            "checkpoint": name,
            "iteration": at,
            "judge": "weak-judge",
            "attack": attack,
            "lost": 20,
            "flips": flips,
            "n": 40,
            "success": interval(flips / 20),
            "backfired": 0.1,
            "shift": interval(-0.05),
            "invalid": 0.025,
        }
        for name, at, attack, flips in [
            ("base", 0, "repetition", 5),
            ("base", 0, PAYLOAD, 0),
            ("iteration-0005", 5, "repetition", 15),
        ]
    ]
    (run / "arms" / "free debate" / "attacks.jsonl").write_text(lines(rows))
    page = page_of(run)
    text = Reader(page).text
    assert "Attacks on the reward judge" in text and "−5.0" in text and "75.0" in text
    assert "alert(1)</script>" not in page
    assert "all attacks: 12 % at iteration 0, 75 % at iteration 5" in page
    attacks = page[page.index('<section id="attacks">') :]
    assert "Attacks on the reward judge, free debate" in attacks and "repetition at base: 25.0 %" in attacks
    folded = attacks.index("<details><summary>All figures of the attacks")
    assert attacks.index("<svg") < folded < attacks.index("<table")
    assert page.index('id="debates"') < page.index('id="attacks"'), "results, curves and debates come first"


def test_what_is_printed_is_not_cut() -> None:
    printed = resource("report.css").partition("@media print")[2]
    assert ".passage, pre { max-height: none; overflow: visible; }" in printed
    assert not re.search(r"max-height: (?!none)|overflow: hidden", printed)
