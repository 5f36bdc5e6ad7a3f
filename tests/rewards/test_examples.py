"""Few-shot examples: balanced, never about the story that is judged, and the same for every run."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.prompts.prompt_sets import PromptError, load_prompts
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.examples import Examples, ExamplesError
from rostrum.rewards.judges.likelihood import Settings
from rostrum.rewards.labelled import Labelled, write


def debate(story: int, target: float, question: str = "") -> Labelled:
    """A debate whose side A says the number of its story."""
    asked = Question(f"q{story}{question}", f"s{story}", "where ?", (f"yes{story}", f"no{story}"), "")
    speeches = (Speech("A", Side.A, 0, f"story {story}", "", 2), Speech("B", Side.B, 1, "no", "", 1))
    return Labelled(Transcript(asked, Protocol("debate"), asked.answers, False, speeches), target)


def stories(shown: list[tuple[Transcript, float]]) -> list[str]:
    return [transcript.question.story_id for transcript, _ in shown]


@pytest.mark.parametrize("shots", range(1, 9))
def test_as_many_are_won_by_each_seat_even_if_the_file_is_onesided(shots: int) -> None:
    pool = [debate(story, 1.0) for story in range(12)]
    shown = Examples(pool, shots).before(debate(3, 0.0).transcript)
    won_by_a = sum(target > 0.5 for _, target in shown)
    assert len(shown) == shots and abs(2 * won_by_a - shots) <= 1
    for transcript, target in shown:
        winner = transcript.answers[target < 0.5]
        assert winner.startswith("yes"), "relabelling moved the label with the sides"


@pytest.mark.parametrize(("shots", "ties"), [(1, 1), (2, 0), (3, 1), (4, 2), (5, 1), (6, 2), (8, 2)])
def test_ratings_are_shown_ties_where_there_are_any(shots: int, ties: int) -> None:
    pool = [debate(story, (1.0, 0.0, 0.5)[story % 3]) for story in range(30)]
    shown = Examples(pool, shots, ties=True).before(debate(99, 0.0).transcript)
    targets = [target for _, target in shown]
    assert (targets.count(0.5), len(targets)) == (ties, shots)
    assert targets.count(1.0) == targets.count(0.0)
    assert 0.5 not in [target for _, target in Examples(pool, shots).before(debate(99, 0.0).transcript)]


def test_few_ties_are_made_up_for() -> None:
    pool = [*(debate(story, 1.0) for story in range(9)), debate(20, 0.5), debate(21, 0.5)]
    for judged in (20, 30):
        targets = [target for _, target in Examples(pool, 4, ties=True).before(debate(judged, 0.0).transcript)]
        assert sorted(targets) in ([0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0])


@given(st.integers(0, 11), st.integers(1, 10), st.booleans())
def test_the_story_that_is_judged_is_never_among_them(judged: int, shots: int, ties: bool) -> None:
    pool = [debate(story, target, question) for story in range(12) for question, target in (("x", 1.0), ("y", 0.5))]
    shown = Examples(pool, shots, ties).before(debate(judged, 0.0, "another").transcript)
    assert f"s{judged}" not in stories(shown)
    assert len(set(stories(shown))) == len(shown) == shots, "and no story twice"


def test_they_depend_on_the_debates_alone() -> None:
    pool = [debate(story, float(story % 2)) for story in range(12)]
    judged = debate(3, 0.0).transcript
    first = Examples(pool, 4).before(judged)
    assert Examples(pool[::-1], 4).before(judged) == first
    assert Examples(pool, 4).before(judged.swapped()) == first, "both orders of presentation see the same"


def test_too_few_debates_are_told() -> None:
    pool = [debate(story, float(story % 2)) for story in range(4)]
    assert len(Examples(pool, 3).before(pool[0].transcript)) == 3
    with pytest.raises(ExamplesError, match="about 5 stories and there are 4: lower shots"):
        Examples(pool, 4)


def test_a_judge_reads_them_before_the_debate(tmp_path: Path) -> None:
    write(tmp_path / "examples.jsonl", [debate(story, float(story % 2)) for story in range(6)])
    settings = Settings(kind="likelihood", name="j", model="m", prompts="prose", examples=tmp_path / "examples.jsonl")
    judged = debate(2, 0.0).transcript
    read = settings.judge_prompts().judge(judged)
    assert [f"story {story}" in read for story in range(6)].count(True) == 5
    assert read.count("story 2") == 1 and read.index("story 2") > max(read.rfind(f"story {s}") for s in (0, 1, 3, 4, 5))
    assert "yes2" not in read.split("Now the one to decide.")[0]
    plain = settings.model_copy(update={"examples": None})
    assert plain.judge_prompts().judge(judged) == load_prompts("prose").judge(judged)


def test_settings_that_a_prompt_set_cannot_serve_are_told(tmp_path: Path) -> None:
    for name in ("opening", "turn", "judge"):
        (tmp_path / f"{name}.j2").write_text("{{ 1 }}", "utf-8")
    settings = Settings(kind="likelihood", name="j", model="m", prompts=str(tmp_path), instructions="criteria")
    with pytest.raises(PromptError, match="does not show instructions"):
        settings.judge_prompts()
