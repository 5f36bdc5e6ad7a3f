"""The report page: what it says, what it refuses, and that debater text stays text."""

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from trainer.report import ReportError, write_report
from trainer.report.charts import Level, Point, Series, chart
from trainer.report.debates import browser_data, judged, marks, pieces, reflowed, script_json, visible
from trainer.report.inputs import Debate, QuoteRecord, read_run
from trainer.report.svg import axis
from trainer.report.wording import p_value, percent, points, points_range

PAYLOAD = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"
PASSAGE = "in the kitchen anna saw it . in the office boris saw it . not in the hall carla saw it ."


def interval(estimate: float, half: float = 0.03) -> dict[str, float]:
    return {"estimate": estimate, "low": max(0.0, estimate - half), "high": min(1.0, estimate + half)}


def accuracy(judge: str, role: str, base: float, trained: float, headline: str) -> dict[str, Any]:
    change = trained - base
    return {
        "judge": judge, "role": role, "base": base, "trained": trained, "change": change, "low": change - 0.032,
        "high": change + 0.032, "p": 0.0001 if abs(change) > 0.04 else 0.42, "headline": headline,
        "n_questions": 400, "n_stories": 400, "n_invalid": 3,
        "base_interval": [base - 0.044, base + 0.044], "trained_interval": [trained - 0.04, trained + 0.04],
    }  # fmt: skip


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
            "checkpoint": f"iteration-{5 * i:04d}" if i else "base", "iteration": 5 * i,
            "accuracy": {
                "weak-judge": interval(right[i], 0.042), "other-judge": interval(0.5 + 0.9 * (right[i] - 0.5)),
            },
            "win_rate": interval(wins[i], 0.025) if i else {"estimate": wins[0], "low": None, "high": None},
            "win_rate_right": interval(min(0.97, wins[i] + 0.15)), "win_rate_wrong": interval(wins[i] - 0.15),
            "verified_quotes": quotes[i], "words_per_speech": 7.1 + 0.1 * i,
        }
        for i in range(5)
    ]  # fmt: skip
    rows = [accuracy("weak-judge", "reward", right[0], right[4], headline),
            accuracy("other-judge", "held-out", right[0] + 0.02, right[4] + 0.01, headline)]  # fmt: skip
    if protocol == "consultancy":
        rows[0] |= {"given_right": {"base": 0.85, "trained": 0.96}, "given_wrong": {"base": 0.39, "trained": 0.27}}
    return {
        "name": name, "protocol": protocol, "headline": headline, "sentence": SENTENCES[headline],
        "minimum_detectable_change": 0.0457,
        "win_rate": interval(wins[4]) | {
            "by_side": {"right": interval(0.78), "wrong": interval(0.48)},
            "against": "the judge (approval)" if protocol == "consultancy" else "base debaters",
        },
        "verified_quotes": {"base": quotes[0], "trained": quotes[4]}, "words_per_speech": {"base": 7.1, "trained": 7.5},
        "accuracy": rows, "checkpoints": points_of,
    }  # fmt: skip


def summary() -> dict[str, Any]:
    references = [
        {"protocol": protocol, "judge": "weak-judge", "role": "reward", "accuracy": interval(value),
         "n_questions": 400, "n_invalid": 0}
        for protocol, value in [("naive", 0.50), ("expert", 0.946)]
    ]  # fmt: skip
    arms = [arm("truthful debate", "raised"), arm("free debate", "lowered"),
            arm("truthful consultancy", "no change shown", "consultancy")]  # fmt: skip
    return {"schema_version": 1, "arms": arms, "references": references}


def quote(text: str, words: str, status: str = "exact", negated: bool = False) -> dict[str, Any]:
    start, place = text.index(words), PASSAGE.find(words)
    source = [[place, place + len(words)]] if status != "unverified" else []
    return {"text": words, "start": start, "end": start + len(words), "status": status, "source": source,
            "after_negation": negated}  # fmt: skip


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
            "seat": seat,
            "ply": ply,
            "text": text,
            "quotes": [found],
            "words": 6,
            "policy": "current",
            "policy_version": 20,
        }
        for ply, (seat, text, found) in enumerate(zip("ABA", texts, quotes, strict=True))
    ]
    question = {"id": f"q{number}", "story_id": f"s{number}", "text": f"where is the apple {number} ?",
                "answers": ["kitchen", "office"], "passage": passage}  # fmt: skip
    return {
        "arm": arm_name, "checkpoint": "iteration-0020" if number % 2 else "base", "matchup": "self",
        "judge": "weak-judge", "correct_seat": "AB"[number % 3 == 0], "p_after": [0.5, 0.81, 0.62, 0.9],
        "transcript": {"question": question, "answers": ["kitchen", "office"], "swapped_seats": False,
                       "protocol": {"name": "debate-sequential", "rounds": 2}, "speeches": speeches},
    }  # fmt: skip


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


def embedded(page: str) -> Any:
    found = re.search(r'id="debate-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_each_outcome_is_said_in_words_with_what_could_have_been_shown(tmp_path: Path) -> None:
    text = Reader(page_of(make_run(tmp_path / "run"))).text
    assert "Of 3 arms: raised in 1, lowered in 1 and no change shown in 1" in text
    assert "Held-out judges found the same in 3 of the 3 arms they judged." in text
    for sentence in SENTENCES.values():
        assert sentence in text
    assert text.count("Smallest change that 400 questions could have shown: 4.6 points") == 2, (
        "the third sentence says it already"
    )
    assert "Held-out judge other-judge: lowered (−17.7 points, interval −20.9 to −14.5)." in text


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
    names = [name for name, _ in Reader(page).elements]
    assert "img" not in names
    assert names.count("script") == 2
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
    with pytest.raises(ReportError, match="schema version 2 is not 1"):
        write_report(run)
    (run / "summary.json").write_text("{")
    with pytest.raises(ReportError, match="not valid JSON"):
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
    def at(p: float | None, seat: str) -> str:
        return judged(Debate.model_validate(debate("x", 1) | {"p_after": [0.5, p], "correct_seat": seat}))

    for p in (0.1, 0.5, 0.8):
        assert at(p, "A") == at(1 - p, "B")
    assert (at(0.8, "A"), at(0.8, "B"), at(0.5, "A"), at(None, "A")) == ("right", "wrong", "undecided", "invalid")


def test_passages_are_stored_once_and_hidden_characters_shown() -> None:
    data = browser_data([Debate.model_validate(debate("x", number)) for number in range(3)])
    assert len(data["passages"]) == 1 and [row["passage"] for row in data["debates"]] == [0, 0, 0]
    assert visible("a\u202eb\x1bc\nd") == "a\ufffdb\ufffdc\nd"
    assert "<" not in script_json({"a": "</script><!--"}) and json.loads(script_json({"a": "</"})) == {"a": "</"}


def test_the_judges_questions_stand_before_the_speeches_that_answer_them() -> None:
    stored = debate("x", 0)
    asked = [{"ply": 2, "text": "why\u202e ?"}, {"ply": 1, "text": "", "problem": "empty"}]
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
    judges = [{"judge": "weak-judge", "role": "reward", "accuracy": 0.6, "wrong_side": 0.4, "mcc": None},
              {"judge": "other-judge", "role": "held-out", "accuracy": held_out, "wrong_side": None}]  # fmt: skip
    return {"iteration": iteration, "judges": judges, "gap": 0.6 - held_out, "alarm": alarm, "stop": stop,
            "reward": {"base": 0.5, "trained": approval}, "held_out": {"base": 0.7, "trained": held_out},
            "conduct": {"addresses_judge": 0.25, "contradictions": 0.1}, "attack_success": None}  # fmt: skip


def test_the_watch_is_shown_with_its_alarm(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert "The watch during training" not in page_of(run)
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
        {"checkpoint": name, "iteration": at, "judge": "weak-judge", "attack": attack, "lost": 20, "flips": flips,
         "n": 40, "success": interval(flips / 20), "backfired": 0.1, "shift": interval(-0.05), "invalid": 0.025}
        for name, at, attack, flips in [("base", 0, "repetition", 5), ("base", 0, PAYLOAD, 0),
                                        ("iteration-0005", 5, "repetition", 15)]
    ]  # fmt: skip
    (run / "arms" / "free debate" / "attacks.jsonl").write_text(lines(rows))
    page = page_of(run)
    text = Reader(page).text
    assert "Attacks on the reward judge" in text and "−5.0" in text and "75.0" in text
    assert "alert(1)</script>" not in page.split('id="debate-data"')[0]
    assert "all attacks: 12 % at iteration 0, 75 % at iteration 5" in page
