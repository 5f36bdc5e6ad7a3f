"""Playing a batch of debates with engines, turn by turn, tokens in and tokens out. `streamed` plays them otherwise."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import Prompts
from rostrum.envs.text import windows
from rostrum.envs.text.windows import Window
from rostrum.envs.types import Failure, Protocol, Question
from rostrum.rewards.types import Unscored
from rostrum.trainer.engines.base import Engine, Sampling
from rostrum.trainer.progress import activity
from rostrum.trainer.rollouts.decoding.decoding_setup import Decoding
from rostrum.trainer.rollouts.decoding.turns import OneSample, Turn, at_turn
from rostrum.trainer.rollouts.examples import Example, OwnExample
from rostrum.trainer.rollouts.token_rows import SpeakerTokens
from rostrum.trainer.types import Matchup, Policy, Rollout

PLAIN = Decoding()
"""Every speech is sampled once, and nobody asks."""


class LiveDebate:
    """A debate in progress together with the tokens that each of its speakers has seen and sampled."""

    def __init__(
        self,
        matchup: Matchup,
        debate: Debate,
        row_per_speech: bool = False,
        branch: int = 0,
        examples: Sequence[Example | OwnExample] = (),
    ) -> None:
        self.matchup, self.debate, self.branch, self._examples = matchup, debate, branch, examples
        self.failure: Failure | None = None
        self.spent = Counter[str]()
        """What speeches have cost that were not sampled once, by policy and kind, for the record."""
        self._row_per_speech = row_per_speech
        self._tokens: dict[str, SpeakerTokens] = {}

    def tell(self, speaker: str, engine: Engine) -> list[int]:
        """Add what the speaker is told now to its context, and return the whole of it."""
        if speaker not in self._tokens:
            self._tokens[speaker] = self._begun(speaker, engine)
        return self._tokens[speaker].tell(self.debate.told(speaker), engine.format)

    def _begun(self, speaker: str, engine: Engine) -> SpeakerTokens:
        """Return the context that a speaker begins with: the examples as earlier turns of its own."""
        tokens, debate = SpeakerTokens(self._row_per_speech), self.debate
        for example in self._examples:
            if isinstance(example, OwnExample):
                told = debate.told(speaker)
                said = example.said(debate, speaker, told, engine.format)
            else:
                told = example.told(speaker, debate.protocol, debate.prompts)
                said = example.said(debate.protocol.speakers[speaker].side, told, engine.format)
            if said is not None:
                tokens.tell(told, engine.format)
                tokens.said(said)
        return tokens

    def spoke(self, speaker: str, utterance: Utterance) -> None:
        """Add the sampled tokens to the speaker's context."""
        self._tokens[speaker].said(utterance)

    def fail(self, reason: str) -> None:
        """Take the debate out of play and record why."""
        note: dict[str, str | int | float] = {"match": self.matchup.id, "branch": self.branch}
        self.failure = Failure(self.matchup.question.id, self.matchup.swapped_seats, reason, note)

    def fork(self, branch: int) -> "LiveDebate":
        """Return a sibling that shares everything so far."""
        sibling = LiveDebate(self.matchup, self.debate.fork(), self._row_per_speech, branch, self._examples)
        sibling.failure, sibling.spent = self.failure, Counter(self.spent)
        sibling._tokens = {speaker: tokens.fork() for speaker, tokens in self._tokens.items()}
        return sibling

    def rollout(self, provenance: Mapping[str, str | int | float]) -> Rollout:
        """Return the finished debate; without rows to learn from if there were examples, which are in no prompt that is
        learned."""
        note = {**provenance, "match": self.matchup.id, "branch": self.branch, **self.spent}
        rows = {} if self._examples else {speaker: tokens.rows() for speaker, tokens in self._tokens.items()}
        return Rollout(self.matchup.id, self.branch, self.debate.transcript(note), rows, self.matchup.branch_turn)


def play(
    matchups: Sequence[Matchup],
    protocol: Protocol,
    prompts: Prompts,
    engines: Mapping[str, Engine],
    sampling: Sampling,
    versions: Mapping[str, Policy],
    row_per_speech: bool = False,
    window: Window | None = None,
    decoding: Decoding = PLAIN,
) -> list[Rollout | Failure]:
    """Play all matches side by side and return each as an episode (one per branch) or as a failure.

    `engines` are by policy name. `row_per_speech` is explained at `SpeakerTokens`; `window` limits what
    debaters read of a passage; `decoding` is how they sample their speeches, and who asks them between the rounds.
    Sampling seeds derive from `sampling.seed`, the turn and the policy, so the same shard played again gives the same
    debates.
    """
    tables = begin(matchups, protocol, prompts, engines, row_per_speech, window)
    for live in turn_by_turn(tables, engines, sampling, versions, decoding):
        tables = live
    return outcomes_of(tables, sampling)


def outcomes_of(tables: Sequence[LiveDebate], sampling: Sampling) -> list[Rollout | Failure]:
    """Return what became of debates that are over, each as an episode or as a failure."""
    return [table.failure or table.rollout({"seed": sampling.seed}) for table in tables]


def begin(
    matchups: Sequence[Matchup],
    protocol: Protocol,
    prompts: Prompts,
    engines: Mapping[str, Engine],
    row_per_speech: bool = False,
    window: Window | None = None,
    examples: Sequence[Example | OwnExample] = (),
) -> list[LiveDebate]:
    """Return the matchups as debates in which nobody has spoken yet; `examples` are what every speaker has before its
    first prompt."""
    shown = _shown([matchup.question for matchup in matchups], window, engines)
    debates = [
        Debate(matchup.question, protocol, matchup.swapped_seats, prompts, seen)
        for matchup, seen in zip(matchups, shown, strict=True)
    ]
    return [
        LiveDebate(matchup, debate, row_per_speech, examples=examples)
        for matchup, debate in zip(matchups, debates, strict=True)
    ]


def turn_by_turn(
    tables: Sequence[LiveDebate],
    engines: Mapping[str, Engine],
    sampling: Sampling,
    versions: Mapping[str, Policy],
    decoding: Decoding = PLAIN,
) -> Iterator[list[LiveDebate]]:
    """Play debates side by side and yield all of them, failures too, whenever somebody has spoken: after each question
    of the judge, and after each turn.

    A debate stays the same object until it branches; whoever only reads it may watch it as it is made.
    """
    tables = list(tables)
    turns = max((len(table.debate.protocol.order()) for table in tables), default=0)
    for turn in range(turns):
        if asking := [table for table in tables if table.failure is None and table.debate.awaits_question]:
            _ask(asking, decoding)
            yield tables
        tables = [sibling for table in tables for sibling in siblings(table, turn)]
        live, said = [table for table in tables if table.failure is None], defaultdict[int, dict[str, Utterance]](dict)
        with activity(f"turn {turn + 1} of {turns} in {len(live)} debates"):
            for name, ready in due(live, engines, sampling).items():
                policy, now = versions[name], [now for _, now in ready]
                seeded = at_turn(sampling, now[0].debate.turn, policy)
                speaking = decoding.speaking if decoding.speaking.serves(policy) else OneSample()
                choices = speaking.speak(now, engines[name], seeded, policy)
                for (table, its), choice in zip(ready, choices, strict=True):
                    table.spent.update({f"{policy.name} {what}": count for what, count in choice.spent.items()})
                    if choice.said is None:
                        table.fail(choice.problem)
                    else:
                        said[id(table)][its.speaker] = choice.said
        for table in live:
            if table.failure is None:
                hear(table, said[id(table)])
        yield tables


def _shown(questions: Sequence[Question], window: Window | None, engines: Mapping[str, Engine]) -> list[str]:
    """Return each question's passage as debaters read it. Policies of one debate share a tokenizer."""
    if not engines:
        return [question.passage for question in questions]
    count = next(iter(engines.values())).format.count
    by_question = {question: windows.shown(question, window, count) for question in set(questions)}
    return [by_question[question] for question in questions]


def _ask(tables: Sequence[LiveDebate], decoding: Decoding) -> None:
    """Let the judge ask in these debates. Before siblings part: they are to share what was asked."""
    if decoding.inquirer is None:
        raise ValueError("The protocol lets the judge ask, and nobody was given who writes its questions.")
    written = decoding.inquirer.write([table.debate.transcript() for table in tables])
    for table, text in zip(tables, written, strict=True):
        table.debate.ask("", problem=text.reason) if isinstance(text, Unscored) else table.debate.ask(text)


def siblings(table: LiveDebate, turn: int) -> list[LiveDebate]:
    """Return what a debate goes on as from a turn: its siblings where they part, else itself."""
    if table.matchup.branch_turn != turn or table.matchup.branches == 1:
        return [table]
    return [table.fork(branch) for branch in range(table.matchup.branches)]


def due(
    tables: Sequence[LiveDebate], engines: Mapping[str, Engine], sampling: Sampling
) -> dict[str, list[tuple[LiveDebate, Turn]]]:
    """Return who is to speak now, by the policy that does, each told what it has not heard yet; a debate in which a
    context leaves no room for a speech fails."""
    found: dict[str, list[tuple[LiveDebate, Turn]]] = defaultdict(list)
    for table in tables:
        for speaker in table.debate.speakers:
            name = table.matchup.policies[speaker]
            if (context := _tell(table, speaker, engines[name], sampling)) is not None:
                found[name].append((table, Turn(f"{table.matchup.id}:{table.branch}", table.debate, speaker, context)))
    return found


def _tell(table: LiveDebate, speaker: str, engine: Engine, sampling: Sampling) -> list[int] | None:
    context = table.tell(speaker, engine)
    if len(context) + sampling.max_tokens <= engine.max_context:
        return context
    table.fail(
        f"the context of speaker {speaker} has {len(context)} tokens and a speech may add {sampling.max_tokens}, "
        f"more than the model's {engine.max_context}"
    )
    return None


def hear(table: LiveDebate, utterances: Mapping[str, Utterance]) -> None:
    """Add the speeches of a turn to a debate, which fails where they cannot be taken."""
    try:
        table.debate.hear(utterances)
    except Exception as error:  # a debate ends here: whatever it tripped over is recorded and the others go on
        table.fail(f"{type(error).__name__}: {error}")
        return
    for speaker, utterance in utterances.items():
        table.spoke(speaker, utterance)
