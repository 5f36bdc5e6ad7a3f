"""What endpoints would cost, said by commands that then do nothing: `dry_run=true` of evaluate, audit and compare."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol
from rostrum.launch.cli import main
from rostrum.launch.compose import load, save
from rostrum.rewards import labelled
from rostrum.rewards.labelled import Labelled
from tests.fake_endpoint import FakeEndpoint, reply, serving

Refused = Callable[..., str]


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with serving(lambda body: reply(body)) as endpoint:
        yield endpoint


@pytest.fixture
def words(server: FakeEndpoint) -> list[str]:
    """A judge behind the server, one of two orders, and nobody held out."""
    return [
        "judge=endpoint",
        "judge.model=far-away",
        f"judge.endpoint.base_url={server.base_url}",
        "judge.prompts=chat",
        "judge.endpoint.price_in=1",
        "judge.endpoint.price_out=2",
        "heldout_judges=none",
        "questions.train=12",
        "questions.heldout=12",
        "judge.order=given",
    ]


@pytest.fixture
def debates(tmp_path: Path) -> Path:
    """Three debates in which every speech is a true quotation."""
    found = []
    for question in TestimonyWorld(train=0, heldout=3).questions("heldout"):
        debate = Debate(question, Protocol("debate", rounds=1), False, load_prompts("testimony"))
        for place in question.answers:
            quoted = next(said for said in question.passage.split(" . ") if place in said).removesuffix(" .")
            debate.hear({debate.speakers[0]: Utterance(f"<quote> {quoted} </quote>")})
        found.append(Labelled(debate.transcript(), 1.0))
    labelled.write(tmp_path / "debates.jsonl", found)
    return tmp_path / "debates.jsonl"


def requests(said: str) -> int:
    (number,) = re.findall(r"([\d,]+) requests", said)
    return int(number.replace(",", ""))


@pytest.mark.parametrize("overrides", [(), ("judge.order=both", "audit.skip=[tags]", "audit.attacked=2")])
def test_an_audit_asks_as_often_as_was_said(
    words: list[str],
    debates: Path,
    server: FakeEndpoint,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    overrides: tuple[str, ...],
) -> None:
    command = ["audit", *words, f"audit.debates={debates}", f"output={tmp_path}/audit", *overrides]
    assert main([*command, "dry_run=true"]) == 0
    said = capfd.readouterr().out
    assert not server.bodies and not (tmp_path / "audit").exists() and "the audit " in said and "$0.0" in said
    assert main(command) == 0
    assert said.strip() in " ".join(capfd.readouterr().err.split()), "a real one begins with the same sentence"
    asked = [body for body in server.bodies if "alphabet" not in str(body)]
    assert len(asked) == requests(said) > 12


def test_an_audit_that_is_gone_on_with_asks_for_the_rest_only(
    words: list[str], debates: Path, server: FakeEndpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of two judges at the endpoint, each with verdicts of its own: as often as was said, and nothing twice."""
    few = ("judge.endpoint.cache=null", "audit.skip=[tags]", "audit.attacked=1", "audit.variants=[criteria]")
    command = ["audit", *words, *few, f"audit.debates={debates}", f"output={tmp_path}/audit"]
    stored = tmp_path / "audit" / "verdicts.jsonl"

    def left() -> int:
        assert main([*command, "dry_run=true"]) == 0
        return requests(capfd.readouterr().out)

    in_all = left()
    assert main(command) == 0 and left() == 0
    lines = stored.read_text().splitlines(keepends=True)
    stored.write_text("".join(lines[2:9]))
    assert left() == len(lines) - 7 == in_all - 7 and stored.read_text() == "".join(lines[2:9])
    before = len(server.bodies)
    assert main(command) == 0
    assert len([body for body in server.bodies[before:] if "alphabet" not in str(body)]) == in_all - 7


def test_an_audit_of_debates_yet_to_be_played_with_examples(
    words: list[str], server: FakeEndpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ten questions in both seatings, each read as it is and relabelled, plainly and with examples that are not
    played."""
    few = ("audit.questions=10", "audit.skip=[tags,attacks]", "audit.variants=[few_shot]")
    assert main(["audit", *words, *few, f"output={tmp_path}/audit", "dry_run=true"]) == 0
    assert requests(capfd.readouterr().out) == 10 * 2 * 2 * 2
    assert not server.bodies and not (tmp_path / "audit").exists()


def test_an_evaluation_of_a_run_is_reckoned_from_its_configuration(
    words: list[str], server: FakeEndpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The base alone, itself against the trained one: three matchups in both seatings, then the two references."""
    run = tmp_path / "run"
    run.mkdir()
    save(load([*words, f"output={run}", "evaluation.attacks=0", "evaluation.browser_debates=0"]), run / "config.yaml")
    for heldout in (12, 5):
        assert main(["evaluate", f"run={run}", "dry_run=true", f"questions.heldout={heldout}"]) == 0
        said = capfd.readouterr().out
        assert "the evaluation " in said and "the training" not in said
        assert requests(said) == heldout * (3 * 2 + 2)
    assert not server.bodies and [path.name for path in run.iterdir()] == ["config.yaml"]


def test_a_comparison_asks_as_often_as_was_said(
    words: list[str], server: FakeEndpoint, tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Verdicts on debates as they are, read apart, and shown with other speakers; the judge's own questions; and the
    references. What is finished is not asked again."""
    command = [
        "compare",
        *words,
        "questions.heldout=3",
        f"debater.model={tiny}/debater",
        f"output={tmp_path}/c",
        "comparison.arms.asked=[protocol=interactive]",
        "comparison.arms.asked_and_exchanged=[protocol=interactive,comparison.speakers=exchanged]",
        "arms=ensembled_consultancy,asked,asked_and_exchanged",
    ]
    assert main([*command, "dry_run=true"]) == 0
    said = capfd.readouterr().out
    assert requests(said) == 3 * 2 * (2 + 1 + 1) + 3 * 2 + 3 * 2 and "the comparison " in said and "$0.0" in said
    assert not server.bodies and not (tmp_path / "c").exists()
    assert main(command) == 0
    assert said.strip() in " ".join(capfd.readouterr().err.split()), "a real one begins with the same sentence"
    assert len([body for body in server.bodies if "alphabet" not in str(body)]) == requests(said)

    def left(*gone: str) -> int:
        for path in gone:
            (tmp_path / "c" / path).unlink()
        assert main([*command, "dry_run=true"]) == 0
        return requests(capfd.readouterr().out)

    assert left() == 0
    assert left("arms/asked/base.parquet") == 3 * 2
    assert left("references.parquet", *(f"debates/{p.name}" for p in (tmp_path / "c/debates").iterdir())) == 3 * 6


def test_without_an_endpoint_there_is_nothing_to_pay(
    tmp_path: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", f"output={tmp_path}/audit", "dry_run=true"]) == 0
    assert "nothing is paid for" in capfd.readouterr().out and not list(tmp_path.iterdir())
    assert "dry_run=true" in refused("audit", f"output={tmp_path}/audit", "dry_run=maybe")
    assert "dry_run=true" in refused("evaluate", f"run={tmp_path}", "dry_run=no")
    assert "dry_run=true" in refused("compare", f"output={tmp_path}/c", "dry_run=yes")
