"""Models whose chat template or thoughts cannot serve are refused before anything starts."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.trainer.engines.templates import TODAY
from tests.chat_models import CHATML, write_model

Refused = Callable[..., str]
LAST_ONLY = CHATML.replace("for m in messages", "for m in messages[-1:]")
THINKS = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
UNKNOWN = CHATML.replace("assistant\n{% endif", "assistant\n{% if enable_thinking %}~{% endif %}{% endif")


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a model with a chat template."""

    def make(template: str) -> Path:
        folder = write_model(tmp_path / "model", "chatml", context=4000)
        (folder / "chat_template.jinja").write_text(template, "utf-8")
        return folder

    return make


WRITES = ("judge=chat-verdict", "judge.max_tokens=100")


@pytest.mark.parametrize(
    ("template", "who", "overrides", "said"),
    [
        (LAST_ONLY, "debater", (), "chat template loses what a debater is told first"),
        (LAST_ONLY, "judge", (), "chat template loses what a debater is told first"),
        (THINKS, "debater", (), "set protocol.scratchpad=true"),
        (UNKNOWN, "debater", ("protocol.scratchpad=true",), "set protocol.scratchpad=false"),
        (THINKS, "judge", ("judge=chat",), "begins every reply with a thought"),
        (UNKNOWN, "judge", WRITES, "writes, and .* marks its thoughts in a way that is not known"),
    ],
)
@pytest.mark.parametrize("command", ["train", "debate", "audit"])
def test_what_a_template_cannot_do_is_said_before_anything_starts(
    command: str,
    template: str,
    who: str,
    overrides: tuple[str, ...],
    said: str,
    small: list[str],
    tmp_path: Path,
    model: Callable[[str], Path],
    refused: Refused,
) -> None:
    output = [] if command == "debate" else [f"output={tmp_path}/out"]
    known = [word for word in small if not (overrides[:1] and overrides[0].startswith("judge=") and "judge.m" in word)]
    error = refused(command, *overrides, *known, f"{who}.model={model(template)}", f"{who}.prompts=chat", *output)

    assert re.search(said, error), error


def test_a_judge_that_thinks_first_may_write(small: list[str], model: Callable[[str], Path]) -> None:
    from rostrum.launch.checks import check_judges
    from rostrum.launch.compose import load
    from rostrum.trainer.run_context import RunContext

    known = [word for word in small if not word.startswith("judge.m")]
    config = load([*known, *WRITES, f"judge.model={model(THINKS)}"])
    check_judges(config.judge.needs(), RunContext(config))


def test_the_manifest_says_what_templates_are_told_of_the_date(trained: Path) -> None:
    assert json.loads((trained / "manifest.json").read_text("utf-8"))["chat_template_date"] == TODAY.isoformat()
