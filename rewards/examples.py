"""Few-shot examples: labelled debates that a judge is shown before the one that it judges.

As many are won by side A as by side B, so that nothing can be read from the sides; ratings are shown ties as well. A
debate is never judged with an example about its own story, which could give the answer away.
"""

from collections.abc import Iterable, Sequence

from rostrum.envs.prompts.judge_prompts import Example, Instructions, Layout, Task
from rostrum.envs.prompts.prompt_sets import Prompts
from rostrum.envs.questions.splits import digest
from rostrum.envs.types import Transcript
from rostrum.rewards.labelled import Labelled

TIED = 0.5


class ExamplesError(ValueError):
    """Debates that examples cannot be chosen from; the message is one sentence that says what to do."""


class Examples:
    """Chooses `shots` debates of the file for each debate that is judged: by hash, one per story, balanced.

    A debate that the wrong side has won is shown with its sides relabelled. With `ties`, about a third of the examples
    are debates whose target is .5, as far as there are any; without, there are none.

    Raises:
        ExamplesError: there are debates about too few stories.
    """

    def __init__(self, debates: Sequence[Labelled], shots: int, ties: bool = False) -> None:
        decided = _one_per_story(debate for debate in debates if debate.target != TIED)
        tied = _one_per_story(debate for debate in debates if ties and debate.target == TIED)
        per_seat = (shots + 1) // 3 if tied else shots // 2
        wanted_ties = min(shots - 2 * per_seat, max(0, len(tied) - 1)) if tied else 0
        self._decided, self._tied, self._ties, self._shots = decided, tied, wanted_ties, shots
        if len(decided) <= shots:
            raise ExamplesError(
                f"{shots} examples need debates with a known winner about {shots + 1} stories and there are "
                f"{len(decided)}: lower shots, or give a file with more debates."
            )

    def before(self, transcript: Transcript) -> list[Example]:
        """Return the examples for a debate, in the order in which they are shown."""
        taken = {transcript.question.story_id}
        ties = self._take(self._tied, self._ties, taken)
        decided = self._take(self._decided, self._shots - len(ties), taken)
        seated = [_won_by_a(debate, index % 2 == 0) for index, debate in enumerate(decided)]
        together = sorted([*ties, *seated], key=_order)
        return [(debate.transcript, debate.target) for debate in together]

    @staticmethod
    def _take(debates: Sequence[Labelled], number: int, taken: set[str]) -> list[Labelled]:
        """Return the first so many about stories that are not taken yet, which they then are."""
        found: list[Labelled] = []
        for debate in debates:
            if len(found) < number and debate.transcript.question.story_id not in taken:
                taken.add(debate.transcript.question.story_id)
                found.append(debate)
        return found


class JudgePrompts:
    """What a judge with this task reads: `judge(transcript)` is the whole prompt.

    Raises:
        PromptError: the prompt set cannot serve the task, the instructions, the examples or the layout.
    """

    def __init__(
        self,
        prompts: Prompts,
        task: Task = "judge",
        instructions: Instructions = "plain",
        examples: Examples | None = None,
        layout: Layout = "answers_first",
    ) -> None:
        prompts.in_layout(layout).require(task, instructions, examples is not None)
        self._prompts, self._task, self._instructions, self._examples = prompts, task, instructions, examples
        self._layout: Layout = layout

    def judge(self, transcript: Transcript) -> str:
        """Return the prompt about a debate."""
        examples = self._examples.before(transcript) if self._examples else []
        return self._prompts.judge(transcript, self._task, self._instructions, examples, self._layout)


def _one_per_story(debates: Iterable[Labelled]) -> list[Labelled]:
    """Return one example per story, in the order of their hashes."""
    by_story = {debate.transcript.question.story_id: debate for debate in sorted(debates, key=_order, reverse=True)}
    return sorted(by_story.values(), key=_order)


def _order(debate: Labelled) -> str:
    question, swapped = debate.transcript.question, debate.transcript.swapped_seats
    return digest(f"example:{question.story_id}:{question.id}:{swapped}")


def _won_by_a(debate: Labelled, wanted: bool) -> Labelled:
    return debate if (debate.target > TIED) == wanted else debate.swapped()
