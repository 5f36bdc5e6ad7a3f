"""What judges read: the prompt of a task, with instructions and examples where they are asked for.

`judge.j2` asks for nothing but an answer, `verdict.j2` for reasons and a last line, `rating.j2` for a number from 1 to
9 in a JSON object, `inquiry.j2` for a question to the debaters. Each is given the debate's own variables,
`instructions` (the text of `criteria.j2` or `debias.j2`, or nothing), and `examples`: debates as `debate.j2` tells
them, with the seat that is `right`, its `answer`, and the `score` they deserve.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, Template, TemplateError, TemplateNotFound, meta

from rostrum.envs.prompts.inquiries import in_order
from rostrum.envs.prompts.own_lines import OwnLines
from rostrum.envs.prompts.ratings import rating_of
from rostrum.envs.text.escaping import Lines, escape_field, escape_passage, escape_speech
from rostrum.envs.types import Inquiry, Protocol, Speech, Transcript

Task = Literal["judge", "verdict", "rating", "inquiry"]
Instructions = Literal["plain", "criteria", "debias"]
Layout = Literal["answers_first", "transcript_first"]
"""Where the answers stand in a prompt, and whether debaters are called by the letters of theirs."""
Example = tuple[Transcript, float]
"""A debate and P(answer of side A) in it, as it is known."""


class PromptError(ValueError):
    """A prompt set that cannot be used; the message says what to do."""


class JudgeTemplates:
    """A prompt set's templates for judges; all but those that a judge uses may be missing."""

    def __init__(self, folder: Path, environment: Environment) -> None:
        self._folder, self._environment = folder, environment
        for path in folder.glob("*.j2"):
            self.read(path.stem)  # says of which one it is that it cannot be read
        self.own = OwnLines(folder, environment)
        """What no speech may forge."""

    def require(self, task: Task, instructions: Instructions = "plain", examples: bool = False) -> None:
        """Ask whether the set has what such a prompt is made of.

        Raises:
            PromptError: a template is missing, or would pass over the instructions or the examples.
        """
        self.template(task)
        needed: dict[str, str] = {"instructions": instructions} if instructions != "plain" else {}
        needed |= {"examples": "debate"} if examples else {}
        for name, template in needed.items():
            if name not in self._variables(task):
                raise PromptError(f"{task}.j2 of the prompt set {self._folder} does not show {name}: use them there.")
            self.template(template)

    def render(
        self, transcript: Transcript, task: Task, instructions: Instructions, examples: Sequence[Example]
    ) -> str:
        """Return the prompt: the question, the speeches in the order they were made, the passage if the judge may see
        it."""
        instructed = "" if instructions == "plain" else rendered(self.template(instructions))
        shown = [self._example(*example) for example in examples]
        return rendered(self.template(task), **self.debate(transcript), instructions=instructed, examples=shown)

    def template(self, name: str) -> Template:
        """Return a template by its name.

        Raises:
            PromptError: the set has none of this name.
        """
        return self.read(name)

    def read(self, name: str) -> Template:
        """Return the template in this place of the set's folder.

        Raises:
            PromptError: the set has none there.
        """
        try:
            return self._environment.get_template(f"{name}.j2")
        except TemplateNotFound:
            raise PromptError(f"The prompt set {self._folder} has no {name}.j2: add that template.") from None
        except (TemplateError, OSError, ValueError) as error:
            raise PromptError(f"{self._folder}/{name}.j2 cannot be read as a template ({error}): mend it.") from None

    def has(self, name: str) -> bool:
        """Return whether the set has a template of this name."""
        return (self._folder / f"{name}.j2").is_file()

    def _example(self, transcript: Transcript, target: float) -> dict[str, Any]:
        right = target < 0.5
        return {
            "debate": rendered(self.template("debate"), **self.debate(transcript)),
            "right": "AB"[right],
            "answer": escape_field(transcript.answers[right], self.own),
            "score": rating_of(target),
        }

    def debate(self, transcript: Transcript) -> dict[str, Any]:
        """Return the variables that tell a debate, escaped."""
        last = max((speech.turn for speech in transcript.speeches), default=-1)
        answered = [inquiry for inquiry in transcript.inquiries if inquiry.turn <= last]
        passage = transcript.question.passage if transcript.protocol.judge_sees_passage else ""
        answer_a, answer_b = (escape_field(answer, self.own) for answer in transcript.answers)
        return {
            "passage": escape_passage(passage, self.own),
            "question": escape_field(transcript.question.text, self.own),
            "answer_a": answer_a,
            "answer_b": answer_b,
            "speeches": escaped(in_order(transcript.speeches, answered), transcript.protocol, self.own),
            "debaters": len(transcript.protocol.speakers),
            "max_words": transcript.protocol.max_words,
        }

    def _variables(self, task: Task) -> set[str]:
        source = Path(str(self.template(task).filename)).read_text("utf-8")
        return meta.find_undeclared_variables(self._environment.parse(source))


def rendered(template: Template, **variables: Any) -> str:
    """Return the text of a template.

    Raises:
        PromptError: it asks for what it is not given, or for what the sandbox forbids.
    """
    try:
        return template.render(**variables)
    except (TemplateError, TypeError, OverflowError, ZeroDivisionError) as error:
        raise PromptError(f"{template.filename} cannot be rendered ({error}): mend that template.") from None


def escaped(said: Sequence[Speech | Inquiry], protocol: Protocol, own: Lines) -> list[dict[str, str]]:
    """Return the label (`seat`), role and text of each speech, as safe to show in a prompt set with lines of its `own`
    as `escape_speech` makes it; the judge's questions have the label "judge", and those that came to nothing are left
    out."""
    return [
        {
            "seat": protocol.label(each.speaker, each.side) if isinstance(each, Speech) else "judge",
            "role": each.role if isinstance(each, Speech) else "judge",
            "text": escape_speech(each.text, own=own),
        }
        for each in said
        if isinstance(each, Speech) or each.text
    ]
