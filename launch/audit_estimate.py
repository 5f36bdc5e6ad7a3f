"""What an audit's judges will cost where they are paid by the token, estimated before anything is asked."""

import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rostrum.envs.questions.base import load_questions
from rostrum.envs.text.attacks import ATTACKS, attacked
from rostrum.envs.types import Quote, QuoteStatus, Speech, Transcript
from rostrum.launch.estimate import debates_like, judged
from rostrum.rewards import labelled
from rostrum.rewards.audit.tags import changed
from rostrum.rewards.judges import JudgeSettings, cascade
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Usage
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.judge_audit.arms import EXAMPLES, arms
from rostrum.trainer.store.judge_identity import fingerprint, identity
from rostrum.trainer.stored_judge import VERDICTS, key_of, keys

MOST = 300
"""Transcripts whose prompts are reckoned with; the others are taken to be like them."""


def audit(config: Config) -> Usage:
    """Return what all judges are still to be asked by `rostrum audit`; verdicts in the folder are not asked for again.

    Debates that are still to be played are taken to be of full length and all quotation, and the examples of few_shot
    to be like them.
    """
    read, number = _debates(config)
    with TemporaryDirectory() as folder:
        with_examples = _with_examples(config, Path(folder) / EXAMPLES)
        return sum((_asked(config, judge, read, number) for _, judge in arms(with_examples)), Usage())


def _debates(config: Config) -> tuple[Sequence[Labelled], int]:
    """Return debates to estimate with, and how many are audited."""
    stored = config.output / "debates.jsonl"
    source = config.audit.debates or (stored if stored.exists() else None)
    if source is not None:
        found = labelled.read(source, lambda _: 1.0)
        return found, len(found)
    questions = load_questions(config.questions, "heldout").questions("heldout")
    like = debates_like(config, "heldout")
    quoting = [replace(debate, speeches=tuple(map(_quoting, debate.speeches))) for debate in like]
    return [Labelled(debate, 1.0) for debate in quoting], 2 * min(config.audit.questions, len(questions))


def _quoting(speech: Speech) -> Speech:
    """Return the speech as one quotation that was found: judges are asked about it with other marks as well."""
    start = len("<v_quote>")
    quote = Quote(speech.text, start, start + len(speech.text), QuoteStatus.EXACT)
    return replace(speech, text=f"<v_quote>{speech.text}</v_quote>", quotes=(quote,))


def _with_examples(config: Config, path: Path) -> Config:
    """Return the configuration with a file of examples, so that none are played."""
    there = config.audit.examples is not None or (config.output / EXAMPLES).exists()
    if there or "few_shot" not in config.audit.variants:
        return config
    labelled.write(path, [Labelled(debate, 1.0) for debate in debates_like(config, "train")])
    return config.model_copy(update={"audit": config.audit.model_copy(update={"examples": path})})


def _asked(config: Config, judge: JudgeSettings, read: Sequence[Labelled], number: int) -> Usage:
    """Return what one judge is asked: the debates, the debates with other marks, and each attack from each side."""
    plain, skipped = [debate.transcript for debate in read], config.audit.skip
    asked = [*plain, *([] if "tags" in skipped else [other for debate in read for other in changed(debate)])]
    if any(model.order != "both" for model in judge.needs()):
        asked += [transcript.swapped() for transcript in asked]
    total = _left(config, judge, asked, number / len(read))
    if isinstance(judge, cascade.Settings):
        total += sum((_left(config, part, plain, number / len(read)) for part in (judge.first, judge.second)), Usage())
    if "attacks" not in skipped and (victims := plain[: config.audit.attacked]):
        sides = [(debate, side) for debate in victims for side in debate.protocol.sides]
        under = [attacked(debate, side, name) for debate, side in sides for name in ATTACKS]
        total += _left(config, judge, under, min(config.audit.attacked, number) / len(victims))
    return total


def _left(config: Config, judge: JudgeSettings, asked: Sequence[Transcript], share: float) -> Usage:
    """Return what remains to be asked of these transcripts, each of which stands for `share` of them."""
    if all(model.endpoint is None for model in judge.needs()):
        return Usage()
    known = _known(config, judge)
    left = [transcript for key, transcript in {key_of(t): t for t in asked}.items() if key not in known]
    if not left:
        return Usage()
    return judged(judge, random.Random(0).sample(left, min(len(left), MOST)), round(len(left) * share))


def _known(config: Config, judge: JudgeSettings) -> Collection[str]:
    """Return the transcripts on which this very judge's verdicts are in the folder, by `key_of`."""
    stored = config.output / VERDICTS
    return keys(stored, fingerprint(identity(judge))) if stored.exists() else ()
