"""Room for the longest prompts that a protocol can reach, asked for before anything is started.

A debate is played without a model: every speech has as many tokens as the engine allows, whatever number of words the
prompt asks for, since longer speeches are kept. So the longest prompts of debaters, critics and judges are known.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.prompts.revisions import critique_prompt, helpful_prompt, rewrite_prompt
from rostrum.envs.recasting import alone
from rostrum.envs.text import windows
from rostrum.envs.types import Question, Transcript
from rostrum.launch.errors import LaunchError
from rostrum.rewards.helpfulness import helping_model
from rostrum.rewards.inquirer import TOKENS_PER_WORD, inquiring_model
from rostrum.rewards.judges import ModelSettings
from rostrum.rewards.types import Reading
from rostrum.rewards.written import WritingSettings
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.engines import settings_by_name
from rostrum.trainer.engines.formats import Format
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.token_rows import SpeakerTokens
from rostrum.trainer.run_context import RunContext

LONGEST = 20
"""Questions with the longest texts whose debates are counted in tokens."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in tokens, with what may be written after it."""

    tokens: int
    question: Question
    of_passage: int = 0
    opening: bool = False
    """Whether it is the first that a debater reads."""
    what: str = "a prompt"

    def __lt__(self, other: "Prompt") -> bool:
        return self.tokens < other.tokens


@dataclass(slots=True)
class _Played:
    """What a debate of the longest speeches has come to."""

    prompts: list[Prompt] = field(default_factory=list)
    """Of debaters and critics."""
    asked: list[Transcript] = field(default_factory=list)
    """What the judge has read before each of its questions."""
    helpful: list[tuple[Debate, Utterance]] = field(default_factory=list)
    """Drafts, each in its debate, whose critiques a judge's model may be asked about."""
    transcript: Transcript | None = None


def check_context(
    run: RunContext, questions: Sequence[Question] | None = None, judges: Iterable[ModelSettings] | None = None
) -> None:
    """Ask for room in the contexts of the debater and of every judge, on the questions with the longest texts (by
    themselves: all of both splits). `judges` are all of the run's, and those of its decoding, if none are named.

    Raises:
        LaunchError: there is none, or the chat template begins every answer with a thought and nobody hides it.
        PromptError: the prompt set has none for a role of the protocol.
        EngineError: the chat template cannot serve, or not with debater.rows=speaker.
    """
    config = run.config
    if not config.protocol.sides:
        return
    load_prompts(config.debater.prompts).require(config.protocol)
    by_speech = setup.row_per_speech(config)
    fmt, debater = setup.debater_format(config), config.debater
    if fmt.opens_thoughts and not config.protocol.scratchpad:
        raise LaunchError(
            f"{debater.model} begins every answer with a thought, which judge and opponent would read: set "
            "protocol.scratchpad=true."
        )
    chosen = list(_longest(_questions(run) if questions is None else questions))
    if not chosen:
        return
    speech = _text(chosen[0], fmt, debater.max_tokens)
    played = [_play(config, question, fmt, speech, by_speech) for question in chosen]
    for policy in config.policies:
        _check_debater(config.of(policy), max(prompt for debate in played for prompt in debate.prompts))
    asked = [*config.judge_models, *config.decoding.needs()] if judges is None else judges
    for judge in _with_models_here(asked):
        _check_judge(config, judge, played)


def _questions(run: RunContext) -> list[Question]:
    source = run.questions()
    return [question for split in ("train", "heldout") for question in source.questions(split)]


def _longest(questions: Sequence[Question]) -> Iterator[Question]:
    """Yield those with the longest passages, and those that are longest without them."""
    by_rest = sorted(questions, key=lambda q: -(len(q.text) + sum(map(len, q.answers))))
    by_passage = sorted(questions, key=lambda q: -len(q.passage))
    yield from {question.id: question for question in (*by_passage[:LONGEST], *by_rest[:LONGEST])}.values()


def _text(question: Question, fmt: Format, tokens: int) -> str:
    """Return words of the question's own world that come to about, and at most, so many tokens."""
    words = f"{question.passage} {question.text} {' '.join(question.answers)}".split()[:tokens] or ["word"]
    words = (words * (tokens // len(words) + 1))[:tokens]
    low, high = 1, len(words)  # the longest beginning that is not too long
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fmt.count(" ".join(words[:middle])) <= tokens else (low, middle - 1)
    return " ".join(words[:low])


def _play(config: Config, question: Question, fmt: Format, speech: str, by_speech: bool) -> _Played:
    """Play a debate in which everybody says this speech, and the judge asks as much as it may."""
    debater, protocol, found = config.debater, config.protocol, _Played()
    prompts, shown = load_prompts(debater.prompts), windows.shown(question, debater.window, fmt.count)
    debate = Debate(question, protocol, False, prompts, shown)
    tokens = {speaker: SpeakerTokens(by_speech) for speaker in protocol.speakers}
    zeros = (0,) * debater.max_tokens
    said = Utterance(speech, zeros, tuple(map(float, zeros)), "length")
    of_passage = fmt.count(shown) if protocol.debaters_see_passage else 0
    while not debate.finished:
        if debate.awaits_question:
            found.asked.append(debate.transcript())
            debate.ask(" ".join(speech.split()[: protocol.max_words]) + "?")
        for speaker in debate.speakers:
            first = all(speech.speaker != speaker for speech in debate.speeches)
            length = len(tokens[speaker].tell(debate.told(speaker), fmt)) + debater.max_tokens
            found.prompts.append(Prompt(length, question, of_passage, opening=first))
            tokens[speaker].said(said)
            if config.decoding.revises:
                found.prompts += _revising(debate, speaker, said, fmt, debater.max_tokens)
                found.helpful = [(debate.fork(), said)]
        debate.hear(dict.fromkeys(debate.speakers, said))
    found.transcript = debate.transcript()
    return found


def _revising(debate: Debate, speaker: str, said: Utterance, fmt: Format, new: int) -> Iterator[Prompt]:
    """Yield what is read for a critique of a draft, and for its rewriting."""
    draft = debate.speech(speaker, said)
    for prompt in (critique_prompt(debate, draft), rewrite_prompt(debate, draft, draft)):
        yield Prompt(len(fmt.open([prompt])) + new, debate.question, what="a prompt of decoding=refine")


def _check_debater(config: Config, longest: Prompt) -> None:
    debater = config.debater
    limit, question = loading.read_context_length(debater.model), longest.question
    if longest.tokens > limit and longest.opening:
        raise LaunchError(
            f"The first prompt about question {question.id} has {longest.tokens - debater.max_tokens:,} tokens "
            f"({longest.of_passage:,} of them the passage) and a speech up to {debater.max_tokens:,}, but "
            f"{debater.model} reads {limit:,}: set debater.window.tokens to show a part of long passages, or take a "
            "model with a longer context."
        )
    if longest.tokens > limit:
        raise LaunchError(
            f"In {_rounds(config)} {longest.what} about question {question.id} and the speech after it can come to "
            f"{longest.tokens:,} tokens, but {debater.model} reads {limit:,}: lower debater.max_tokens or "
            "protocol.rounds, set debater.window.tokens to show a part of long passages, or take a model with a longer "
            "context."
        )
    longest_row = config.algorithm.longest_row
    if longest_row is not None and longest.tokens > longest_row and longest.what == "a prompt":
        raise LaunchError(
            f"In {_rounds(config)} a prompt about question {question.id} and the speech after it can come to "
            f"{longest.tokens:,} tokens, and a pair may have {longest_row:,}: raise algorithm.max_length, or "
            "lower debater.max_tokens or protocol.rounds."
        )


def _rounds(config: Config) -> str:
    rounds = config.protocol.rounds
    return f"{rounds} round{'s' * (rounds > 1)} of speeches of up to {config.debater.max_tokens:,} tokens"


def check_stored(judges: Iterable[ModelSettings], debates: Sequence[Transcript]) -> None:
    """Ask for room in the context of every judge for debates that are stored, examples before them included. What an
    endpoint reads is not known here.

    Raises:
        LaunchError: a debate does not fit.
    """
    by_length = sorted(debates, key=lambda debate: -sum(len(speech.text) for speech in debate.speeches))
    by_passage = sorted(debates, key=lambda debate: -len(debate.question.passage))
    longest = {id(debate): debate for debate in (*by_length[:LONGEST], *by_passage[:LONGEST])}.values()
    for judge in _with_models_here(judges):
        fmt, limit, prompts = setup.judge_format(judge), _context(judge), judge.judge_prompts()
        for shown in (order for debate in longest for order in (debate, debate.swapped())):
            prompt = prompts.judge(shown)
            tokens = len(fmt.open([prompt])) + _written(judge, shown, prompt, fmt)
            if tokens > limit:
                raise LaunchError(
                    f"What {judge.name} reads about a stored debate on question {shown.question.id} and may write "
                    f"comes to {tokens:,} tokens, but {judge.model} reads {limit:,}: leave longer debates out, show "
                    "fewer examples, or take a judge with a longer context."
                )


def _with_models_here(judges: Iterable[ModelSettings]) -> list[ModelSettings]:
    """Return each judge once that is not behind an endpoint."""
    here = [judge for judge in judges if judge.endpoint is None]
    return [judge for place, judge in enumerate(here) if judge not in here[:place]]


def _context(judge: ModelSettings) -> int:
    """Return how many tokens a judge reads."""
    limit = loading.read_context_length(judge.model)
    return min(limit, loading.load_tokenizer(judge.model, speaks=False).model_max_length) if judge.has_head else limit


def _check_judge(config: Config, judge: ModelSettings, played: Sequence[_Played]) -> None:
    fmt, limit, prompts = setup.judge_format(judge), _context(judge), judge.judge_prompts()
    longest = max(prompt for debate in played for prompt in _read(config, judge, prompts, fmt, debate))
    if longest.tokens > limit:
        raise LaunchError(
            f"In {_rounds(config)} what {judge.name} reads about question {longest.question.id} and may write can come "
            f"to {longest.tokens:,} tokens, but {judge.model} reads {limit:,}: lower debater.max_tokens or "
            "protocol.rounds, or take a judge with a longer context."
        )


def _read(config: Config, judge: ModelSettings, prompts: Reading, fmt: Format, debate: _Played) -> Iterator[Prompt]:
    """Yield what a judge reads of a debate, with what it writes."""
    assert debate.transcript is not None
    whole, protocol = debate.transcript, config.protocol
    parts = [alone(whole, side) for side in protocol.sides] if protocol.judged_apart else [whole]
    for shown in (each for part in parts for each in (part, part.swapped())):
        prompt = prompts.judge(shown)
        yield Prompt(len(fmt.open([prompt])) + _written(judge, shown, prompt, fmt), whole.question)
    if debate.asked and judge == inquiring_model(config.judge):
        own = load_prompts(judge.prompts)
        for transcript in debate.asked:
            tokens = fmt.open([own.judge(transcript, "inquiry")])
            yield Prompt(len(tokens) + TOKENS_PER_WORD * protocol.max_words, whole.question)
    decoding = config.decoding
    if decoding.revises and judge == helping_model(decoding.chooser(config.judge)):
        own = load_prompts(judge.prompts)
        for so_far, said in debate.helpful:
            draft = so_far.speech(so_far.speakers[0], said)
            yield Prompt(len(fmt.open([helpful_prompt(own, so_far, draft, draft)])) + 1, whole.question)


def _written(judge: ModelSettings, transcript: Transcript, prompt: str, fmt: Format) -> int:
    """Return the tokens that follow the prompt: what is written, or the longer answer."""
    if isinstance(judge, WritingSettings):
        return judge.max_tokens
    choices = ("A", "B") if getattr(judge, "choice", "letter") == "letter" else transcript.answers
    longest = max(len(fmt.choice(choice, prompt)) for choice in choices)
    return longest if judge.has_head else longest - 1 + settings_by_name()[judge.engine].unread
