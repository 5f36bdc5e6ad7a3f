"""The longest prompts that a protocol can reach have room before anything starts, for debaters and for every judge."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.envs.questions.base import load_questions
from rostrum.launch.context import check_context
from rostrum.launch.errors import LaunchError
from rostrum.trainer.config import Config
from rostrum.trainer.run_context import RunContext
from tests.chat_models import write_model

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def questions_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    records = [
        {
            "id": str(i),
            "question": "Where was it?",
            "answers": [f"cellar {i}", "sea"],
            "correct": 0,
            "passage": f"In story {i} the keeper lost a lamp.\n\nSomebody found it in cellar {i}.",
        }
        for i in range(8)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


@pytest.fixture(scope="module")
def chat_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "short", "chatml", context=2000)
    write_model(folder / "long", "chatml", context=9000)
    return folder


@pytest.fixture
def words(chat_models: Path, questions_file: Path) -> list[str]:
    """A first prompt of some 900 tokens and a judge's of some 600, speeches of 100 at most."""
    return [
        "questions=jsonl",
        f"questions.path={questions_file}",
        "debater=chat",
        "judge=chat",
        f"debater.model={chat_models}/short",
        f"judge.model={chat_models}/long",
        "debater.max_tokens=100",
        "heldout_judges=none",
        "algorithm.questions_per_iteration=2",
        "algorithm.debates_per_seating=2",
        "algorithm.minibatches=1",
        "iterations=1",
        "save_every=1",
    ]


ARMS = (
    "comparison.arms.one=[protocol.rounds=9]",
    "comparison.arms.two=[protocol.rounds=9,protocol.max_words=9]",
    "arms=one,two",
)
COMMANDS = {
    "train": ("output={}/run",),
    "debate": (),
    "audit": ("output={}/audit",),
    "compare": ("output={}/compare", *ARMS),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("protocol.rounds=9", "protocol.rounds"),
        ("judge.model={}/short protocol.rounds=9 debater.model={}/long", "take a judge with a longer context"),
    ],
)
def test_what_fits_at_first_and_not_at_the_end_is_refused_before_anything_starts(
    command: str, override: str, said: str, words: list[str], chat_models: Path, tmp_path: Path, refused: Refused
) -> None:
    more = override.format(chat_models, chat_models).split()
    keys = {word.partition("=")[0] for word in more}
    kept = [word for word in words if word.partition("=")[0] not in keys]
    error = refused(command, *kept, *more, *(word.format(tmp_path) for word in COMMANDS[command]))
    assert said in error and "9 rounds of speeches of up to 100 tokens" in error
    assert "2,000" in error and "can come to" in error
    assert not list(tmp_path.rglob("transcripts.jsonl")) and not list(tmp_path.rglob("verdicts*"))


@pytest.mark.parametrize(
    ("overrides", "fits"),
    [
        ((), True),
        (("protocol.rounds=4",), True),
        (("protocol.rounds=9",), False),
        (("protocol.rounds=8", "protocol.debaters_hear_each_other=false"), True),
        (("debater.max_tokens=900", "protocol.rounds=1"), False),
        (("judge=chat-verdict", "judge.model={}/long", "judge.max_tokens=8500"), False),
        (("judge=chat-verdict", "judge.model={}/long", "judge.max_tokens=300"), True),
        (("protocol=interactive", "protocol.max_words=2500", "judge.model={}/short"), False),
        (("decoding=refine", "decoding.critiques=1"), True),
        (("decoding=refine", "decoding.critiques=1", "debater.max_tokens=330"), False),
    ],
)
def test_every_prompt_is_counted(overrides: tuple[str, ...], fits: bool, words: list[str], chat_models: Path) -> None:
    from rostrum.launch.compose import load

    mine = [override.format(chat_models) for override in overrides]
    keys = {override.partition("=")[0] for override in mine}
    config = load([*(word for word in (*words, "protocol.rounds=2") if word.partition("=")[0] not in keys), *mine])
    if fits:
        check_context(RunContext(config))
    else:
        with pytest.raises(LaunchError, match="but .* reads"):
            check_context(RunContext(config))


def test_the_count_is_that_of_the_debates_that_are_played(configure: Callable[..., Config], tmp_path: Path) -> None:
    """A debater that never stops fills its context just to the bound, and no debate fails at it."""
    from rostrum.launch.context import _longest, _play, _text
    from rostrum.trainer import setup

    config = configure("debater.max_tokens=14", "protocol.rounds=3")
    questions = load_questions(config.questions).questions("train")[:2]
    fmt = setup.debater_format(config)
    (first, _) = _longest(questions)
    speech = _text(first, fmt, 14)
    assert fmt.count(speech) == 14, "a word is a token here"
    played = _play(config, first, fmt, speech, False)
    opening, later = (max(p.tokens for p in played.prompts if p.opening is is_first) for is_first in (True, False))
    assert later > opening + 2 * 2 * 14, "two own speeches and two of the other side's"


def test_a_pair_of_dpo_has_room_too(configure: Callable[..., Config]) -> None:
    check_context(RunContext(configure("algorithm=dpo")))
    with pytest.raises(LaunchError, match="raise algorithm.max_length"):
        check_context(RunContext(configure("algorithm=dpo", "algorithm.max_length=60")))


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make every model one that reads so many tokens."""
    return lambda tokens: monkeypatch.setattr(
        "rostrum.trainer.models.loading.read_context_length", lambda model: tokens
    )


@pytest.mark.parametrize("command", ["evaluate", "tournament"])
def test_a_finished_run_is_checked_again(
    command: str, trained: Path, tmp_path: Path, refused: Refused, reading: Callable[[int], None]
) -> None:
    reading(40)
    words = [f"run={trained}"] if command == "evaluate" else [f"runs={trained}", f"output={tmp_path}/out"]
    error = refused(command, *words)
    assert "reads 40" in error and not (trained / "evaluation").exists()


@pytest.fixture
def stored(configure: Callable[..., Config], tmp_path: Path) -> Path:
    """A file with one labelled debate of four speeches."""
    from rostrum.launch.context import _longest, _play
    from rostrum.rewards import labelled
    from rostrum.trainer import setup

    config = configure("debater.max_tokens=14")
    (question, *_) = _longest(load_questions(config.questions).questions("heldout")[:1])
    played = _play(config, question, setup.debater_format(config), " ".join(["cellar"] * 14), False)
    assert played.transcript is not None
    labelled.write(tmp_path / "debates.jsonl", [labelled.Labelled(played.transcript, 1.0)])
    return tmp_path / "debates.jsonl"


def test_stored_debates_are_checked_before_an_audit_begins(
    stored: Path, small: list[str], tmp_path: Path, refused: Refused, reading: Callable[[int], None]
) -> None:
    reading(40)
    error = refused("audit", *small, f"audit.debates={stored}", f"output={tmp_path}/audit")
    assert "a stored debate" in error and "reads 40" in error and "leave longer debates out" in error
    assert not (tmp_path / "audit" / "audit.yaml").exists()


def test_the_prompts_of_variants_and_their_examples_need_room_too(
    stored: Path,
    configure: Callable[..., Config],
    reading: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rostrum.launch.context import check_stored
    from rostrum.rewards import labelled
    from rostrum.trainer.evaluation.judge_audit.arms import readers

    transcripts = [debate.transcript for debate in labelled.read(stored)]
    reading(100_000)
    lengths: list[int] = []
    count = "rostrum.trainer.engines.formats.PlainFormat.open"
    monkeypatch.setattr(count, lambda self, parts: lengths.append(len(parts[0])) or range(len(parts[0])))
    check_stored(readers(configure("heldout_judges=none")), transcripts)
    plain = max(lengths)
    lengths.clear()
    check_stored(readers(configure("heldout_judges=none", "audit.variants=[criteria]")), transcripts)
    assert max(lengths) > plain
