"""What the judges of a run will cost where they are paid by the token, estimated before anything is asked."""

from collections.abc import Iterable, Sequence

from rostrum.envs.questions.base import load_questions
from rostrum.envs.text.attacks import ATTACKS
from rostrum.envs.types import Protocol, Question, Speech, Transcript
from rostrum.rewards.endpoint.estimate import DryModels
from rostrum.rewards.inquirer import make_inquirer
from rostrum.rewards.judges import JudgeSettings
from rostrum.rewards.judges.per_side import PerSide
from rostrum.rewards.preference import in_both_orders
from rostrum.rewards.types import Usage
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.browsed import at_most

SAMPLE = 20
"""Questions whose debates are reckoned with; the others are taken to be like them."""
WORD = "words"
"""Stands for a word of a speech; five letters and a space are about what English has."""


def in_words(config: Config, training: bool = True) -> str:
    """Return the estimate in a sentence: what the reward judge is asked in training, and all judges in the
    evaluation."""
    parts = [("the evaluation", evaluation(config))]
    if training:
        debates, count = debates_like(config, "train"), training_debates(config)
        parts.insert(0, ("the training", judged(config.judge, debates, count) + at_inference(config, debates, count)))
    return sentence(parts)


def sentence(parts: Iterable[tuple[str, Usage]]) -> str:
    """Return what each named part costs, and what that is estimated from."""
    said = "; ".join(f"{name} {_figures(usage)}" for name, usage in parts)
    return f"estimate of what endpoints are asked (4 characters a token, speeches of full length): {said}"


def training_debates(config: Config) -> int:
    """Return the number of debates that the reward judge reads."""
    algorithm = config.algorithm
    return config.iterations * algorithm.questions_per_iteration * 2 * algorithm.repeats * algorithm.siblings


def evaluation(config: Config) -> Usage:
    """Return what all judges are asked by `rostrum evaluate`."""
    questions = load_questions(config.test_questions, "heldout").questions("heldout")
    sides, speeches = config.protocol.sides, config.protocol.speeches
    checkpoints = len(_evaluated(config))
    matchups = checkpoints + (checkpoints - 1 if len(sides) > 1 else 0)
    debates = debates_like(config, "heldout")
    total = references(config) + of_all_judges(config, debates, matchups * 2 * len(questions))
    of_trained = 2 if len(sides) > 1 else 1
    kept = at_most(config.evaluation.browser_debates, 2 * len(questions), checkpoints - 1, of_trained)
    shown = kept * (speeches + 1)
    attacked = min(config.evaluation.attacks, 2 * len(questions)) * (1 + len(sides) * len(ATTACKS)) * checkpoints
    against_base = matchups - checkpoints
    own = len(questions) * speeches * (2 * checkpoints + against_base)
    playing = at_inference(config, debates, matchups * 2 * len(questions), own)
    more = judged(config.judge, debates, shown + attacked) if config.judge.probe else Usage()
    return total + more + playing


def references(config: Config) -> Usage:
    """Return what all judges are asked about held-out questions that nobody argues."""
    questions = load_questions(config.test_questions, "heldout").questions("heldout")
    protocols = [Protocol(name, {}, 0, judge_sees_passage=name == "expert") for name in ("naive", "expert")]
    silent = [_of_full_length(questions[:SAMPLE], protocol) for protocol in protocols]
    return sum((of_all_judges(config, debates, len(questions)) for debates in silent), Usage())


def of_all_judges(config: Config, debates: Sequence[Transcript], count: int) -> Usage:
    """Return what so many debates like these, about all held-out questions, would cost by every judge: one that has a
    `sample` reads those about some of the questions."""
    every = len(load_questions(config.test_questions, "heldout").questions("heldout"))
    read = {judge.name: count * min(judge.sample or every, every) // every for judge in config.judges}
    return sum((judged(judge, debates, read[judge.name]) for judge in config.judges), Usage())


def at_inference(config: Config, debates: Sequence[Transcript], played: int, own: int = 0) -> Usage:
    """Return what is asked while so many debates like these are played: for the judge's questions, and to choose what
    is said in `own` speeches."""
    chosen = setup.decoding(config)
    models = DryModels()
    if chosen.asks is not None:
        make_inquirer(chosen.asks, models).write(debates)
    total = _share(models.usage, played * (config.protocol.rounds - 1) / len(debates))
    if options := config.decoding.options():
        total += judged(in_both_orders(config.decoding.chooser(config.judge)), debates, own * options)
    return total


def _evaluated(config: Config) -> set[int]:
    """Return the iterations whose checkpoints are evaluated."""
    chosen, last = config.evaluation.checkpoints, config.iterations
    saved = *range(0, last, config.save_every), *config.opponent.kept(last)
    middle = saved if chosen == "all" else chosen if isinstance(chosen, list) else ()
    return {0, *middle, last}


def debates_like(config: Config, split: str) -> list[Transcript]:
    """Return debates about the first questions of a split, as long as they may be."""
    return _of_full_length(load_questions(config.questions, split).questions(split)[:SAMPLE], config.protocol)


def _of_full_length(questions: Iterable[Question], protocol: Protocol) -> list[Transcript]:
    """Return debates in which every speech has as many words as it may have."""
    said = " ".join([WORD] * protocol.max_words)
    speeches = tuple(
        Speech(name, protocol.speakers[name].side, turn, said, said, protocol.max_words, role=role)
        for turn, speaking in enumerate(protocol.order())
        for name, role in speaking.items()
    )
    return [Transcript(question, protocol, question.answers, False, speeches) for question in questions]


def judged(settings: JudgeSettings, debates: Sequence[Transcript], count: int) -> Usage:
    """Return what `count` debates like these would cost; nothing by a judge without models, who is not asked."""
    if not settings.needs():
        return Usage()
    models = DryModels()
    PerSide(settings.make(models)).judge(debates)
    return _share(models.usage, count / len(debates))


def _share(usage: Usage, share: float) -> Usage:
    return Usage(
        round(usage.requests * share),
        round(usage.prompt_tokens * share),
        round(usage.new_tokens * share),
        usage.dollars * share,
    )


def _figures(usage: Usage) -> str:
    figures = f"{usage.requests:,} requests, {usage.prompt_tokens:,} tokens read, {usage.new_tokens:,} written"
    return f"{figures}, ${usage.dollars:,.2f}" if usage.dollars else figures
