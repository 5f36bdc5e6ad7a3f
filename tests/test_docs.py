"""The handbook: every command in it composes, every link leads somewhere, every page is in the navigation, and pages
that programs write are as they write them."""

import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostrum.launch import compose, reference, saved
from rostrum.launch.arms import arms_of
from rostrum.launch.cells import cross
from rostrum.launch.cli import COMMANDS, parser
from rostrum.launch.commands import ablate, compare, evaluate, labels, tournament
from rostrum.trainer.config import Config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACEHOLDERS = {"DOLLARS": "5", "REASON": "slow", "N": "1"}
"""Words in capitals that stand for something else than a text, and what is put in their place."""
TAKEN = {
    "train": {"resume", "dry_run"},
    "evaluate": {"run", "dry_run"},
    "audit": {"dry_run"},
    "plan": {"amend"},
    "debate": {"a", "b", "question"},
    "questions show": {"n"},
    "judge calibrate": {"debates", "output"},
    "judge train": {"debates"},
    "compare": {"run", "iteration", "arms", "output", "dry_run"},
    "tournament": {"runs", "output", "swiss"},
    "ablate": {"output"},
    "report": {"run", "people.study"},
    "labels": {"run", "output"},
    "verify": {"run", "root"},
    "export": {"run", "iteration", "output"},
    "export-logs": {"run", "output"},
    "build-models": {"output", "seed"},
    "people new": {"output", "runs", "queue"},
    "people rehearse": {"output", "judges"},
    "people invite": {"judges", "address", "tags"},
    "people serve": {"host", "port", "https", "researcher_host", "researcher_port"},
    **{f"people {verb}": set() for verb in ("password", "pause", "resume")},
    "people guidelines": {"file"},
    "people message": {"judge", "text"},
    "people export": {"output", "ids"},
    "people delete": {"judge", "keep"},
    "people results": set(),
    "people import": {"output", "format", "file"},
    "people play": set(),
    "runs": set(),
    "config show": {"run"},
    "config migrate": {"FILE.yaml"},
}
"""What a command takes besides the keys of the configuration."""
WITHOUT_CONFIGURATION = (
    *("runs", "config migrate", "report", "verify", "export", "export-logs", "build-models"),
    *("people rehearse", "people invite", "people serve", "people results", "people import", "people play"),
    *(f"people {verb}" for verb in ("password", "pause", "resume", "guidelines", "message", "export", "delete")),
)
OF_RUNS = {"evaluate": evaluate.RECONSIDERED, "tournament": tournament.RECONSIDERED, "compare": compare.RECONSIDERED}
"""Commands that change the configuration of a run that is there, and what they may change in it."""


def outside_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", outside_code_blocks(text))


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield the words of every `rostrum` line of the code blocks, with its continuations and without its comments."""
    for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("rostrum "):
                yield shlex.split(line, comments=True)


def written() -> list[Any]:
    """Return every command once, under the name of the first page that has it."""
    found: dict[str, Any] = {}
    for page in PAGES:
        for words in commands_in(page.read_text("utf-8")):
            said = " ".join(words)
            found.setdefault(said, pytest.param(words, id=f"{page.stem}: {said}"))
    return list(found.values())


@pytest.fixture(scope="module")
def default() -> Config:
    return compose.load(["output=runs/mine"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that commands of the handbook name as their own."""
    judge = (ROOT / "configs" / "judge" / "testimony.yaml").read_text("utf-8")
    for name in ("judges/calibrated.yaml", "judges/mine/judge.yaml", "FILE.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(judge, "utf-8")
    several = (ROOT / "configs" / "heldout_judges" / "testimony.yaml").read_text("utf-8")
    (tmp_path / "judges" / "heldout.yaml").write_text(several, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", written())
def test_every_command_is_one(words: list[str], folder: Path, default: Config) -> None:
    given = parser().parse_args(words[1:])
    name, overrides = words[1], list(given.overrides)
    if name in ("questions", "judge", "config", "people"):
        name = f"{name} {overrides.pop(0)}"
        if overrides and "=" not in overrides[0] and name.startswith("people"):
            overrides.pop(0)  # the study
        assert name in (
            "questions show",
            "questions audit",
            "judge calibrate",
            "judge train",
            "judge adversarial",
            "config show",
            "config migrate",
            "people new",
            "people rehearse",
            "people invite",
            *(
                f"people {verb}"
                for verb in ("password", "pause", "resume", "guidelines", "message", "export", "delete")
            ),
            "people serve",
            "people results",
            "people import",
            "people play",
        )
    overrides = [filled(override) for override in overrides]
    keys = [override.partition("=")[0] for override in overrides]
    if name in WITHOUT_CONFIGURATION:
        assert set(keys) <= TAKEN[name]
        return
    rest = [o for o, key in zip(overrides, keys, strict=True) if key not in TAKEN.get(name, ())]
    composed(name, set(keys), rest, default)


def filled(override: str) -> str:
    key, equals, value = override.partition("=")
    return f"{key}{equals}{PLACEHOLDERS.get(value, value)}"


def composed(name: str, keys: set[str], rest: Sequence[str], default: Config) -> None:
    """Compose the configuration as the command does."""
    if name in OF_RUNS and keys & {"run", "runs"}:
        saved.changed(default, saved.tested_on(rest), OF_RUNS[name])
    elif name == "train" and "resume" in keys:
        for key in (override.partition("=")[0] for override in rest):
            assert key.partition(".")[0] in ("cluster", "limits") or saved.is_means(key)
        compose.load(rest, behind_an_endpoint() if "endpoint" in " ".join(rest) else default)
    elif name == "compare":
        compose.load(["comparison=default", *rest])
    elif name == "labels":
        assert "run" in keys and compose.load(labels.in_full(rest), default).labels.dear
    elif name == "ablate":
        cells = cross([override for override in rest if not override.startswith(ablate.OWN)])
        assert len(cells) > 1 and compose.load([*cells[-1].overrides, "~arms"])
    elif name in ("demo", "plan", "study"):
        own = ["experiment=study"] if name == "study" else ["experiment=demo"]
        experiment = list(rest) if "experiment" in keys else [*own, *rest]
        config = compose.load(experiment)
        arms_of(config, experiment)
    elif name == "judge adversarial":
        compose.load([f"adversarial.{o}" if o.startswith("rounds=") else o for o in rest])
    else:
        compose.load(rest)


def behind_an_endpoint() -> Config:
    return compose.load(["judge=endpoint", "judge.model=m", "judge.endpoint.price_in=1", "output=runs/mine"])


def test_every_command_is_in_the_handbook() -> None:
    shown = {words[1] for page in PAGES for words in commands_in(page.read_text("utf-8"))}
    assert shown == {command.name for command in COMMANDS}
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert all(f"`rostrum {command.name}`" in index for command in COMMANDS)


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page, as Python-Markdown makes them of its headings."""
    titles = re.findall(r"^#+ (.+)$", outside_code(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", outside_code(page.read_text("utf-8")))
    for link in (link for link in links if not re.match(r"https?://", link)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{page.name} links to {link}"
        assert not anchor or anchor in slugs(target), f"{page.name} links to {link}"
        if page.parent.name == "docs":  # the site is made of this folder alone
            assert target.parent == page.parent, f"{page.name} links to {link}"


def crowded(text: str) -> list[str]:
    """Return the lines with more than one sentence, outside code, tables, headings and lists."""
    lines = [re.sub(r"`[^`]*`|\]\([^)]*\)", "x", line) for line in outside_code_blocks(text).splitlines()]
    prose = [line for line in lines if not re.match(r"[|#\s!-]|\d+\.", line)]
    return [line for line in prose if re.search(r"(?<!al)(?<!e\.g)[.?!] +[A-Z\[*x]", line)]


def outside_code_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_two_sentences_on_a_line_are_seen() -> None:
    assert crowded("One. Two.\n\nIs it? [It](x.md) is.\n") == ["One. Two.", "Is it? [Itx is."]
    assert crowded("As Du et al. 2024, e.g. A.\n- One. Two.\n| One. Two. |\n```\nOne. Two.\n```\nOne.\n") == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_line_has_one_sentence(page: Path) -> None:
    assert crowded(page.read_text("utf-8")) == []


def pages_of(entries: Sequence[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else pages_of(value)


def test_the_navigation_has_every_page_once() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    assert sorted(pages_of(nav)) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_a_page_has_one_title_and_no_skipped_heading(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in zip(levels, levels[1:], strict=False))


def test_the_configuration_reference_is_as_it_is_written() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text("utf-8") == reference.page(), (
        "docs/configuration.md is stale: python -m rostrum.launch.reference > docs/configuration.md"
    )


def test_the_citation_has_what_its_format_asks_for() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert (cited["cff-version"], cited["license"], cited["version"]) == ("1.2.0", "Apache-2.0", version)


def test_the_readme_is_one_page() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.encode()) <= 8 * 1024
    assert not [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")]
