"""The debates of a page: how they are packed, and what a reader sees of them in Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rostrum.trainer.report import write_report
from rostrum.trainer.report.debates import browser_data
from rostrum.trainer.report.inputs import Debate
from rostrum.trainer.report.packed import BLOCK, EARLY, inverted, packed
from tests.trainer.report.chromium import Chromium, opened
from tests.trainer.report.made_runs import PASSAGE, PAYLOAD, debate, embedded, lines, make_run, summary

SETTLED = """new Promise((tell) => {
  const look = () => document.getElementById("debates").ariaBusy === "false" ? tell(true) : setTimeout(look, 5);
  look();
})"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with opened(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def text(tab: Chromium, name: str) -> str:
    return tab.run(f"document.getElementById({json.dumps(name)}).innerText")


def test_a_word_has_the_numbers_of_the_texts_that_hold_it() -> None:
    texts = ["It came, it saw"] + ["nothing"] * 300 + ["IT WENT"]
    words, postings = inverted(texts)
    assert words == ["came", "it", "nothing", "saw", "went"]
    steps = dict(zip(words, postings.split(b"\0"), strict=False))
    assert steps["came"] == steps["saw"] == bytes([1])
    assert steps["it"] == bytes([1, 0b10101101, 0b10]), "a step of 1 and one of 301"
    assert steps["nothing"] == bytes([2] + [1] * 299) and steps["went"] == bytes([0b10101110, 0b10])


def test_long_debates_are_cut_into_blocks_and_none_is_lost() -> None:
    rows = [Debate.model_validate(debate("x", n, passage=PASSAGE + f"{n} " * (BLOCK // 8))) for n in range(7)]
    data = browser_data(rows)
    blocks = packed(data)
    assert [block.name for block in blocks if block.name.startswith("passages")] == [
        "passages-0", "passages-3", "passages-6"
    ]  # fmt: skip
    assert [block.name for block in blocks[:EARLY]] == ["index", "debates-0", "passages-0"]
    page = "".join(f'<script id="packed-{block.name}">{block.base64}</script>' for block in blocks)
    whole = embedded(page)
    assert whole["passages"] == data["passages"]
    assert [{k: v for k, v in row.items() if k != "last"} for row in whole["debates"]] == json.loads(
        json.dumps(data["debates"])
    )
    assert packed(data) == blocks, "the same debates make the same page"


def test_of_many_debates_a_part_is_listed_and_every_one_can_be_reached(tab: Chromium, tmp_path: Path) -> None:
    tab.open(write_report(make_run(tmp_path / "run", debates=[debate("truthful debate", n) for n in range(350)])))

    def told(action: str = "") -> str:
        tab.run(SETTLED)
        tab.run(action or "0")
        tab.run(SETTLED)
        tab.run("new Promise((tell) => requestAnimationFrame(() => setTimeout(tell)))")
        tab.run(SETTLED)
        counted = tab.run("`${matches.options.length} ${matches.value}`")
        return f"{counted} {text(tab, 'position')}"

    def typed(words: str) -> str:
        field = "document.getElementById('filter-text')"
        return told(
            f"{field}.value = {json.dumps(words)}; {field}.dispatchEvent(new Event('input', {{ bubbles: true }}))"
        )

    assert told() == "101 0 1 of 350"
    assert told("document.getElementById('previous').click()") == "51 349 350 of 350"
    assert told("document.getElementById('next').click()") == "101 0 1 of 350"
    assert typed(" APPLE 349 ") == "1 0 1 of 1"
    assert text(tab, "debate").startswith("where is the apple 349 ?")
    assert typed("Anna appl 34") == "14 0 1 of 14", "parts of words: 34, 134, 234, 334 and 340 to 349"
    assert typed("apple") == "101 0 1 of 350"
    assert typed("nowhere") == "0  none" and text(tab, "debate") == "No debate fits these filters."
    assert typed("") == "101 0 1 of 350"
    assert told("location.hash = '#debate=123'") == "102 123 124 of 350", (
        "the list says what comes before it and after it"
    )
    assert text(tab, "debate").startswith("where is the apple 123 ?")
    assert tab.complaints() == []


def test_what_a_debater_writes_is_shown_and_never_obeyed(tab: Chromium, tmp_path: Path) -> None:
    hostile = debate("x", 1, passage=PASSAGE + PAYLOAD, extra=PAYLOAD + "<!--") | {"arm": PAYLOAD}
    hostile["transcript"]["question"]["text"] = PAYLOAD
    hostile["transcript"]["speeches"][1]["private"] = PAYLOAD
    tab.open(write_report(make_run(tmp_path / "run", debates=[hostile, debate("x", 2)])))
    tab.run(SETTLED)
    assert tab.run("document.querySelector('#debate .words').textContent").endswith(PAYLOAD + "<!--")
    assert tab.run("document.getElementById('passage').textContent").endswith(PAYLOAD)
    assert tab.run("document.querySelector('#debate h3').textContent") == PAYLOAD
    assert tab.run("document.querySelectorAll('#debate img, #debate script, #filters img').length") == 0
    assert tab.complaints() == [] and not [m for m in tab.told if m["method"] == "Page.javascriptDialogOpening"]


def test_without_scripts_all_but_the_debates_is_there(tab: Chromium, tmp_path: Path) -> None:
    report = write_report(make_run(tmp_path / "run"))
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(report)
        shown = tab.run("document.body.innerText")
    finally:
        tab.ask("Emulation.setScriptExecutionDisabled", value=False)
    for words in ("Of 3 arms: raised in 1", "+12.8", "Training curves", "The debates need JavaScript"):
        assert words in shown
    assert "Previous" not in shown


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways(tab: Chromium, tmp_path: Path, width: int) -> None:
    content = summary()
    content["arms"][0]["name"] = "a-name-of-an-arm-that-has-no-place-to-break-it-" + "x" * 60
    run = make_run(tmp_path / "run", content)
    (run / "arms" / "free debate" / "attacks.jsonl").write_text(
        lines(
            [
                {
                    "checkpoint": "base",
                    "iteration": 0,
                    "judge": "j",
                    "attack": "stating the verdict",
                    "lost": 9,
                    "flips": 1,
                }
            ]
        )
    )
    front = write_report(run)
    for page in (front, *(run / "pages").iterdir()):
        tab.open(page, width)
        tab.run(SETTLED if page == front else "0")
        assert tab.run("document.documentElement.scrollWidth") <= width, page.name
    tab.open(front, width)
    wide = tab.run("document.querySelector('#results .scroll').scrollWidth")
    assert (wide > width) == (width == 390), "on a phone the table scrolls by itself"
