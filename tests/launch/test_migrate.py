"""Files of earlier versions: refused with the name of today, and rewritten by `rostrum config migrate`."""

import shutil
from pathlib import Path

import pytest
import yaml

from rostrum.launch import compose
from rostrum.launch.cli import main
from rostrum.launch.compose import ConfigError
from rostrum.launch.migrate import rewritten
from rostrum.trainer.config import renamed
from rostrum.trainer.config.renamed import TABLE, Renamed

STORED = Path(__file__).parents[1] / "fixtures" / "schema-1" / "config.yaml"
OLD = {
    "protocol.seats": (["A", "B"], {"protocol": {"speakers": {"A": {"side": "A"}, "B": {"side": "B"}}}}),
    "debater.rows": ("seat", {"debater": {"rows": "speaker"}}),
    "algorithm.credit": ("group", {"algorithm": {"name": "rloo"}}),
    "inference": ({"kind": "best_of"}, {"decoding": {"kind": "best_of"}}),
    "watch": ({"questions": 6}, {"monitor": {"questions": 6}}),
}
"""For each entry of the table: a value of an earlier version, and the configuration of today that says the same."""


def text_of(text: str, path: Path = Path("mine.yaml")) -> str:
    return rewritten(text, yaml.safe_load(text), path).text


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.old)
def test_every_entry_is_read_rewritten_and_refused(entry: Renamed) -> None:
    value, now = OLD[entry.old]
    before: object = value
    for part in reversed(entry.old.split(".")):
        before = {part: before}
    assert isinstance(before, dict)
    assert renamed.today(before) == now and renamed.refused(now) is None
    experiment = {"defaults": [], "seed": 1} | before
    assert yaml.safe_load(text_of(yaml.safe_dump(experiment))) == {"defaults": [], "seed": 1} | now
    with pytest.raises(ConfigError) as refused:
        compose.load([f"{entry.old}={renamed.shown(value)}"])
    assert str(refused.value) == entry.sentence(value)
    assert entry.new in str(refused.value) or entry.new.rpartition(".")[0] in str(refused.value)


MINE = """\
# How we debate.
name: mine   # our own
seats:       # who speaks
- A  # proposes
- B
# as many as fit
rounds: 2

max_words: "12"
"""


def test_comments_order_and_quotation_marks_stay() -> None:
    assert text_of(MINE) == (
        "# How we debate.\nname: mine   # our own\n"
        "speakers: {A: {side: A}, B: {side: B}} # who speaks # proposes\n"
        '# as many as fit\nrounds: 2\n\nmax_words: "12"\n'
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "name: ppo\ncredit: group  # leave-one-out\nepochs: 2\n# of the critic\ngamma: 1.0\nlam: 1.0",
            "name: rloo\nepochs: 2\n# of the critic\n",
        ),
        ("{name: ppo, gamma: 1.0, credit: group}", "{name: rloo}"),
        ("credit: 'role_ema'\r\nema_decay: 0.9\r\ndefaults: []\r\n", "name: rae\r\nema_decay: 0.9\r\ndefaults: []\r\n"),
    ],
)
def test_a_credit_becomes_the_algorithms_name(old: str, new: str) -> None:
    assert text_of(old, Path("algorithm/mine.yaml")) == new


def test_overrides_inside_a_file_are_rewritten() -> None:
    old = (
        'defaults: []\narms:\n  one: [protocol.seats=[A], seed=1]  # alone\n  two:\n  - "debater.rows=seat"\n  - a=b\n'
    )
    old = old.replace("protocol.seats=[A]", "'protocol.seats=[A]'")
    new = text_of(old)
    assert yaml.safe_load(new)["arms"] == {
        "one": ["protocol.speakers={A: {side: A}}", "seed=1"],
        "two": ["debater.rows=speaker", "a=b"],
    }
    assert "# alone" in new and new.count("\n") == old.count("\n")


def test_a_section_of_another_name_is_found_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed, "TABLE", (*TABLE, Renamed("looks", "monitor")))
    assert text_of("looks: {every: 2}\ndefaults:\n- override /looks: all\n- /looks@x: y\n") == (
        "monitor: {every: 2}\ndefaults:\n- override /monitor: all\n- /monitor@x: y\n"
    )
    assert text_of("every: 2 # looks\n", Path("looks/mine.yaml")) == "every: 2 # looks\n"
    assert text_of("arms: {a: [looks.every=3, ~looks, +looks=all]}\nseed: 1\ndefaults: []\n").startswith(
        "arms: {a: [monitor.every=3, ~monitor, +monitor=all]}"
    )
    with pytest.raises(ConfigError, match=r"looks is now called monitor: write monitor\.every=3"):
        compose.load(["looks.every=3"])


def test_a_stored_run_is_rewritten_as_it_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(shutil.copy(STORED, tmp_path / "config.yaml"))
    assert main(["config", "migrate", str(path), "--in-place"]) == 0
    assert "line 13: protocol.seats is protocol.speakers" in capsys.readouterr().err
    assert compose.validate(yaml.safe_load(path.read_text("utf-8"))) == compose.read(STORED)
    old, new = STORED.read_text("utf-8").splitlines(), path.read_text("utf-8").splitlines()
    assert [line for line in new if line not in old] == [
        "  speakers: {A: {side: A}, B: {side: B}}",
        "decoding:",
        "monitor:",
    ]


def test_the_command_writes_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE, "utf-8")
    assert main(["config", "migrate", str(path)]) == 0
    shown = capsys.readouterr()
    assert yaml.safe_load(shown.out)["speakers"]["B"] == {"side": "B"} and "line 3: protocol.seats" in shown.err
    assert path.read_text("utf-8") == MINE
    assert main(["config", "migrate", str(path), "--output", f"{tmp_path}/new.yaml"]) == 0
    assert (tmp_path / "new.yaml").read_text("utf-8") == shown.out
    assert compose.load([f"protocol={tmp_path}/new.yaml"]).protocol.rounds == 2
    assert main(["config", "migrate", str(path), "--output", f"{tmp_path}/new.yaml"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["config", "migrate", str(tmp_path / "new.yaml"), "--in-place"]) == 0
    assert "no names of earlier versions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nseats: [A, C]\n", "protocol.seats is now called speakers: write protocol.speakers"),
        ("name: ppo\ncredit: best\n", "algorithm.credit=best has become the algorithm's name"),
        ("defaults: []\narms: {a: [algorithm.credit=gae]}\n", "algorithm=ppo (gae)"),
        ("name: x\nseats: [A]\nroundz: 2\n", "there is no key 'roundz' here: did you mean rounds?"),
        ("colour: red\n", "has no keys of the configuration"),
        ("name: x\nseats: &both [A, B]\nturns: *both\n", "leave out anchors"),
        ("name: [", "no YAML"),
    ],
)
def test_what_has_no_counterpart_is_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    assert main(["config", "migrate", str(path), "--in-place"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("words", [[], ["a=b"], ["x", "y"], ["x", "--in-place", "--output", "y"]])
def test_one_file_is_asked_for(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "migrate", *words]) == 2
    assert "Name one file" in capsys.readouterr().err
