"""`rostrum debate`: one held-out debate in the terminal, speech by speech, with the judge's probability after each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from rostrum.envs.debate import Debate
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text.quotes import MARKED, escape_markup
from rostrum.envs.types import AnswerKey, Inquiry, Protocol, Question, Side, Speech, Transcript, correct_side
from rostrum.launch import compose, environment, saved
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError
from rostrum.rewards.trial import shown
from rostrum.rewards.types import Judge, Verdict, pick
from rostrum.trainer.config import Config
from rostrum.trainer.policies import path_of
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.terminal import Console
from rostrum.trainer.types import Policy

if TYPE_CHECKING:
    from rostrum.trainer.rollouts.decoding.decoding_setup import Decoding

COLOURS = {Side.A: "cyan", Side.B: "magenta"}
BAR = 24
"""Cells of the bar between the two answers."""


def debate(overrides: Sequence[str]) -> int:
    """Play and show one debate. The configuration is that of the first run named, else the composed default."""
    rest, a = take(overrides, "a")
    rest, b = take(rest, "b")
    rest, number = take(rest, "question")
    config = _config([name for name in (a, b) if name], rest)
    if not config.protocol.sides:
        raise LaunchError(f"protocol={config.protocol.name} has no debaters to watch: choose debate or consultancy.")
    models = _models(config, {Side.A: a, Side.B: b})
    from rostrum.launch import checks, context
    from rostrum.trainer import model_checks, setup
    from rostrum.trainer.run_context import RunContext

    environment.silence()
    for model in set(models.values()):
        model_checks.check_readable(model)
    known = RunContext(config)
    reading = [*config.judge.needs(), *config.decoding.needs()]
    for each in reading:
        if each.endpoint is None:
            model_checks.check_readable(each.model, each.has_head)
    questions = known.questions("heldout")
    question = _question(questions.questions("heldout"), number or "1")
    for model in set(models.values()):
        alone = {"debater": config.debater.model_copy(update={"model": model}), "learners": {}}
        played = RunContext(config.model_copy(update=alone))
        context.check_context(played, [question], reading)
    for model in set(models.values()):
        model_checks.check_model(model)
    checks.check_judges(reading, known, counted=False)
    decoding = setup.decoding(config).make()
    screen = _Screen(Console(highlight=False))
    screen.opening(question, config, models)
    judge = setup.judge(config.judge)
    finished = _play(question, config, models, decoding, judge, screen)
    screen.verdict(finished, judge.judge([finished])[0], questions.answer_key("heldout"))
    return 0


def _config(named: Sequence[str], overrides: Sequence[str]) -> Config:
    runs = [run for name in named if (run := _run_of(Path(name))) is not None]
    if not runs:
        return compose.load(overrides)
    config, rest = saved.entrusted(runs[0], overrides)
    return compose.load(rest, config)


def _run_of(path: Path) -> Path | None:
    """Return the run folder that a path names or, as one of its policies, lies in."""
    candidates = (path, path.absolute().parents[1]) if path.is_dir() and len(path.absolute().parents) > 1 else ()
    return next((folder for folder in candidates if RunFolder(folder).config.is_file()), None)


def _models(config: Config, sides: Mapping[Side, str | None]) -> dict[str, str]:
    """Return the model folder of each speaker, by name: that of its policy among those of the run that its side names,
    the model that its side names, or the base debater of its policy."""
    found = {}
    for name, speaker in config.protocol.speakers.items():
        named = sides[speaker.side]
        if named is None:
            found[name] = config.of(speaker.policy).debater.model
        elif (published := _published(named)) is None:
            found[name] = named
        else:
            found[name] = str(_of_speaker(published, named, speaker.policy))
    return found


def _published(name: str) -> Path | None:
    """Return the folder of the last policies that a run has published; None for what is no run.

    Raises:
        LaunchError: it has published none.
    """
    folder = RunFolder(Path(name))
    if not folder.config.is_file():
        return None
    published = folder.published()
    if not published:
        raise LaunchError(f"The run {name} has published no policy yet: train it first, or name another.")
    return folder.policy(published[-1])


def _of_speaker(published: Path, run: str, policy: str) -> Path:
    """Return where the policy that speaks lies: the folder of a run of one policy holds that one.

    Raises:
        LaunchError: the run has several, and none of this name.
    """
    names = saved.run_config(Path(run)).policies
    if len(names) > 1 and policy not in names:
        raise LaunchError(f"The run {run} has the policies {' and '.join(names)}, and none called {policy}: name both.")
    return path_of(published, policy, names)


def _question(questions: Sequence[Question], number: str) -> Question:
    if not number.isdecimal() or not 1 <= int(number) <= len(questions):
        raise LaunchError(f"There is no held-out question {number!r}: choose question=1 to question={len(questions)}.")
    return questions[int(number) - 1]


def _policies(models: Mapping[str, str]) -> dict[str, Policy]:
    """Return the policy of each speaker, by name; those of one model are one."""
    known = {
        model: Policy(f"model {number}", _version(model), model)
        for number, model in enumerate(dict.fromkeys(models.values()), 1)
    }
    return {name: known[model] for name, model in models.items()}


def _version(model: str) -> int:
    """Return after which iteration a run has published these weights; 0 for what no run has."""
    found = [re.fullmatch(r"iteration-([0-9]{1,9})", part) for part in Path(model).parts]
    return next((int(numbered[1]) for numbered in reversed(found) if numbered), 0)


def _play(
    question: Question, config: Config, models: Mapping[str, str], decoding: "Decoding", judge: Judge, screen: "_Screen"
) -> Transcript:
    """Play the debate, shown as it is made, and return it.

    Raises:
        LaunchError: it could not be finished.
    """
    from rostrum.trainer import setup
    from rostrum.trainer.engines import Sampling, make_engine
    from rostrum.trainer.progress import activity
    from rostrum.trainer.rollouts.play import begin, turn_by_turn
    from rostrum.trainer.rollouts.schedule import both_seatings, derive

    speaking = _policies(models)
    policies = {policy.name: policy for policy in speaking.values()}
    engines = {name: make_engine(policy.path, setup.debater_engine(config)) for name, policy in policies.items()}
    matchup, _ = both_seatings([question], lambda _: {name: policy.name for name, policy in speaking.items()})
    prompts, window = load_prompts(config.debater.prompts), config.debater.window
    (live,) = begin([matchup], config.protocol, prompts, engines, window=window)
    sampling = Sampling(config.debater.max_tokens, config.debater.temperature, derive(config.seed, "watch"))
    turns = turn_by_turn([live], engines, sampling, policies, decoding)
    game = live.debate
    screen.probability(judge.judge([game.transcript()])[0])
    asked = spoken = 0
    while not game.finished:
        with activity(f"    {next_to_speak(game)}"):
            next(turns)
        if live.failure is not None:
            raise LaunchError(f"The debate could not be finished: {live.failure.reason}.")
        for inquiry in game.inquiries[asked:]:
            screen.inquiry(inquiry)
        for number in range(spoken, len(game.speeches)):
            screen.speech(game.speeches[number], game.protocol)
            so_far = replace(game.transcript(), speeches=game.speeches[: number + 1])
            screen.probability(judge.judge([so_far])[0])
        asked, spoken = len(game.inquiries), len(game.speeches)
    return game.transcript()


def next_to_speak(game: Debate) -> str:
    """Return in words whom the debate waits for."""
    if game.awaits_question:
        return "the judge asks"
    labels = [game.protocol.label(name, game.protocol.speakers[name].side) for name in game.speakers]
    return f"{' and '.join(labels)} to speak"


class _Screen:
    """Writes to a terminal. Whatever a model, a question file or a folder's name holds is shown as plain text."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def opening(self, question: Question, config: Config, models: Mapping[str, str]) -> None:
        """Show the passage, the question, and who defends what."""
        self._console.rule(_plain(f"{config.protocol.name}, judged by {config.judge.name}"))
        self._console.print(Padding(_plain(question.passage, "dim"), (0, 2)))
        self._console.print(_plain(question.text, "bold"))
        for side, answer in zip(Side, question.answers, strict=True):
            own = list(dict.fromkeys(models[name] for name in config.protocol.on(side)))
            who = f"argued by {' and '.join(own)}" if own else "nobody argues it"
            self._console.print(_label(side.value, side), _plain(answer, "bold"), _plain(f"({who})", "dim"))

    def speech(self, speech: Speech, protocol: Protocol) -> None:
        """Show one speech with its quotes marked."""
        self._console.print()
        who = _label(protocol.label(speech.speaker, speech.side), speech.side)
        if speech.private:
            self._console.print(who, _plain(f"(thinks, unseen) {speech.private}", "dim"))
        self._console.print(who, Text("").join(_marked(speech.text, self._shown("✓✗", "+x"))))

    def _shown(self, signs: str, plain: str) -> str:
        """Return the signs, or plain ones where the terminal's encoding lacks them."""
        return signs if self._console.encoding.startswith("utf") else plain

    def inquiry(self, inquiry: Inquiry) -> None:
        """Show what the judge asks, or why it asks nothing."""
        self._console.print()
        told = _plain(inquiry.text, "bold") if inquiry.text else _plain(f"nothing ({inquiry.problem})", "yellow")
        self._console.print(_plain("    judge asks:"), told)

    def probability(self, verdict: Verdict) -> None:
        """Show the judge's probability of side A's answer, as a number and a bar."""
        if not verdict.valid:
            self._console.print(_plain(f"    judge: INVALID, {verdict.reason}", "yellow"))
            if verdict.unreadable:
                self._console.print(_plain(f"    it wrote: {shown(verdict.unreadable)!r}", "yellow"))
            return
        cells = round(verdict.mean * BAR)
        full, empty = tuple(self._shown("█░", "#."))
        bar = Text.assemble((full * cells, COLOURS[Side.A]), (empty * (BAR - cells), COLOURS[Side.B]))
        self._console.print(Text.assemble("    judge: P(A) = ", (f"{verdict.mean:.2f}", "bold"), "  A ", bar, " B"))

    def verdict(self, transcript: Transcript, verdict: Verdict, key: AnswerKey) -> None:
        """Show which answer the judge picks, and which is right."""
        right = correct_side(transcript, key)
        self._console.rule()
        if not verdict.valid:
            picked, comment = "nothing (its verdict is INVALID)", ""
        elif (won := pick(verdict)) == 0.5:
            picked, comment = "neither answer", ""
        else:
            choice = Side.A if won else Side.B
            picked = f"{choice.value}, {transcript.answers[choice is Side.B]}"
            comment = ": the judge is right" if choice is right else ": the judge is wrong"
        self._console.print(_plain(f"The judge picks {picked}."))
        answer = transcript.answers[right is Side.B]
        self._console.print(_plain(f"The right answer is {right.value}, {answer}{comment}."))


def _marked(text: str, marks: str) -> Iterator[Text]:
    """Yield the judged text, its tags replaced by marks: only the environment can have set the tags."""
    position = 0
    for quote in MARKED.finditer(text):
        mark, colour = (marks[0], "green") if quote[1] == "v" else (marks[1], "red")
        yield _plain(text[position : quote.start()])
        yield _plain(f"{mark}“{quote[2].strip()}”", colour)
        position = quote.end()
    yield _plain(text[position:])


def _label(label: str, side: Side) -> Text:
    return Text(f" {label} ", f"bold reverse {COLOURS[side]}")


def _plain(text: str, style: str = "") -> Text:
    return Text(escape_markup(text), style)
