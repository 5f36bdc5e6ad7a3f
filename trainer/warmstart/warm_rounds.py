"""The rounds of a warm start: write speeches with examples, keep those that quote, learn them without, measure.

No gold label enters: every question is debated in both seatings, so both of its answers are argued for alike, and what
is kept is what the environment finds in the passage. No judge is asked.

    rounds.jsonl                    a line for each round, written last: it makes the round count
    speeches/round-0001.jsonl       the debates that were written in a round
    heldout/round-0001.jsonl        those that it was measured in
    policies/iteration-0001/        the weights after a round
    model/                          the last ones as a whole model, from which a training starts
"""

import csv
import io
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from rostrum.envs import transcripts
from rostrum.envs.files import replacing_folder, write_atomically
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.questions.base import load_questions
from rostrum.envs.questions.splits import spread
from rostrum.envs.text.evidence import QuoteRule
from rostrum.envs.types import TRAINED, Failure, Question, Transcript
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.models import cards, loading, model_folders
from rostrum.trainer.progress import say
from rostrum.trainer.reading import read_json_lines
from rostrum.trainer.rollouts.arena import Plan, play
from rostrum.trainer.rollouts.decoding.decoding_setup import DecodingSetup
from rostrum.trainer.rollouts.decoding.most_quotes import most_quotes
from rostrum.trainer.rollouts.examples import OwnExample, load_examples
from rostrum.trainer.rollouts.local import PlaySetup
from rostrum.trainer.rollouts.schedule import derive, matchups_of, questions_of
from rostrum.trainer.store.run_folder import RunFolder, append_line, cut_torn_line
from rostrum.trainer.types import Policy
from rostrum.trainer.warmstart.imitation import imitate
from rostrum.trainer.warmstart.lessons import lessons
from rostrum.trainer.warmstart.quoting import Quoting, Round, quoting
from rostrum.trainer.weights.merging import merged

NAME, TABLE, MODEL = "rounds.jsonl", "rounds.csv", "model"

CARD = """
# {name}

A debater that learned to quote from its own speeches with `rostrum warmstart`, in {rounds} rounds from {base}: neither
gold labels nor a judge had a part in it. It is where a training starts (`debater.model=FOLDER`).

| on held-out stories, sampled once | quotes that count, per speech | speeches within the limits |
|---|---|---|
| before | {before.quotes:.2f} | {before.in_limits:.0%} |
| after | {after.quotes:.2f} | {after.in_limits:.0%} |
"""


class WarmStartError(ValueError):
    """A warm start that cannot go on; the message says what to do."""


def rule_of(config: Config) -> QuoteRule:
    """Return which quotes count."""
    return QuoteRule(config.warmstart.min_words, config.warmstart.most_quoted)


def check(config: Config) -> None:
    """Refuse what a warm start cannot do, and examples that do not show what they are to show.

    Raises:
        WarmStartError: several policies, ranks or GPUs.
        ExampleError: an example has no quote that counts.
    """
    if config.learners:
        raise WarmStartError("A warm start is of one policy: leave learners out, and start each from its own.")
    if config.cluster.learners or config.cluster.deepspeed or torch.cuda.device_count() > 1:
        raise WarmStartError(
            "A warm start learns in one process on one GPU: leave out cluster.learners and cluster.deepspeed, and make "
            "one GPU visible with CUDA_VISIBLE_DEVICES=0."
        )
    load_examples(config.warmstart.examples, config.protocol, load_prompts(config.debater.prompts), rule_of(config))


def warm_start(config: Config) -> list[Round]:
    """Do the rounds that are left, and write the model; return all rounds."""
    run = _WarmStart(config)
    for number in range(len(run.rounds), config.warmstart.rounds + 1):
        run.do(number)
    run.write_model()
    return run.rounds


class _WarmStart:
    def __init__(self, config: Config) -> None:
        self.config, self.settings, self.folder = config, config.warmstart, RunFolder(config.output)
        self.rule, self.prompts = rule_of(config), load_prompts(config.debater.prompts)
        source = load_questions(config.questions, "train", "heldout")
        self._learned = source.questions("train")
        self._heldout = spread(source.questions("heldout"), self.settings.heldout, config.seed)
        self._stored = config.output / NAME
        cut_torn_line(self._stored)
        self.rounds = read_json_lines(self._stored, Round) if self._stored.exists() else []

    def do(self, number: int) -> None:
        """Write, keep, learn and measure; in round 0 only measure. What an earlier start has finished is not done
        again."""
        start, lesson = time.monotonic(), (None, 0, None) if number == 0 else self._learn(number)
        debates = self._played(number, "heldout", self._heldout, setup.play_setup(self.config), number)
        heldout = self._figures(debates)
        written, kept, loss = lesson
        seconds = round(time.monotonic() - start, 1)
        found = Round(round=number, written=written, kept=kept, loss=loss, seconds=seconds, heldout=heldout)
        append_line(self._stored, found.stored())
        self.rounds.append(found)
        write_atomically(self.config.output / TABLE, table(self.rounds))
        say(sentence(found, self.settings.rounds))

    def _learn(self, number: int) -> tuple[Quoting, int, float | None]:
        """Return what was written in a round, how much of it was kept, and the loss of learning it.

        Raises:
            WarmStartError: nothing was kept.
        """
        config = self.config
        count, seed = self.settings.questions, derive(config.seed, "warmstart questions")
        questions = questions_of(self._learned, number, count, seed)
        debates = self._played(number, "speeches", questions, self._writing(), number - 1)
        written = self._figures(debates)
        finished = [debate for debate in debates if isinstance(debate, Transcript)]
        fmt = setup.debater_format(config)
        rows = lessons(finished, self.rule, config.protocol, self.prompts, fmt, config.debater.window)
        if not rows:
            raise WarmStartError(
                f"Round {number} wrote {written.speeches} speeches, and none has a quote that counts: raise "
                "warmstart.candidates or warmstart.questions, lower warmstart.min_words, raise protocol.max_words, "
                "give warmstart.examples nearer to your passages, or take a larger model, and choose another "
                "output=FOLDER for it."
            )
        policy = self.folder.policy(number)
        before = None if number == 1 else self.folder.policy(number - 1)
        if policy.exists():
            return written, len(rows), None
        return written, len(rows), imitate(config, before, rows, policy, number)

    def _writing(self) -> PlaySetup:
        """Return how speeches are written: with examples, the best of several."""
        config, settings = self.config, self.settings
        plain = setup.play_setup(config)
        own = [OwnExample(settings.example, self.rule)] if settings.example is not None else []
        return replace(
            plain,
            temperature=settings.temperature or plain.temperature,
            decoding=DecodingSetup(
                most_quotes(settings.candidates, self.rule), plain.decoding.models, plain.decoding.asks
            ),
            examples=(*load_examples(settings.examples, config.protocol, self.prompts, self.rule), *own),
        )

    def _played(
        self, number: int, what: str, questions: Sequence[Question], played: PlaySetup, version: int
    ) -> list[Transcript | Failure]:
        """Return the debates of a policy with itself, both seatings of each question, from the file where they are
        already.

        Raises:
            WarmStartError: not one could be finished.
        """
        config, path = self.config, self.config.output / what / f"round-{number:04d}.jsonl"
        if path.exists():
            return list(transcripts.read(path))
        folder = self.folder.policy(version) if version else Path(loading.resolve(config.debater.model))
        policy = Policy(TRAINED, version, str(folder))
        matchups = matchups_of(questions, config.protocol, repeats=1)
        plan = Plan(
            matchups,
            [policy],
            config.cluster.shard_size,
            derive(config.seed, what, number if what == "speeches" else 0),
        )
        workers = setup.rollout_workers(config, played)
        try:
            title = f"round {number}/{self.settings.rounds} {'writing' if what == 'speeches' else 'measuring'}"
            found = play(workers, plan, title)
        finally:
            workers.close()
        if not found.finished:
            ((reason, _),) = Counter(failure.reason for failure in found.failures).most_common(1)
            raise WarmStartError(
                f"None of the {len(matchups)} debates of round {number} could be played, most often because {reason}: "
                "lower debater.window.tokens or debater.max_tokens, or show shorter warmstart.examples."
            )
        transcripts.write(path, found.outcomes)
        return list(found.outcomes)

    def _figures(self, debates: Sequence[Transcript | Failure]) -> Quoting:
        finished = [debate for debate in debates if isinstance(debate, Transcript)]
        return quoting(finished, self.rule, len(debates) - len(finished))

    def write_model(self) -> None:
        """Write the last weights as a whole model with tokenizer and card, an adapter merged."""
        output, debater = self.config.output / MODEL, self.config.debater
        if output.exists():
            return
        model = merged(loading.load_model(str(self.folder.policy(self.settings.rounds))))
        with replacing_folder(output) as folder:
            model.to(getattr(torch, debater.dtype)).save_pretrained(folder)
            loading.load_tokenizer(debater.model).save_pretrained(folder)
            head = cards.front_matter(
                debater.model, library_name="transformers", pipeline_tag="text-generation", tags=["debate", "rostrum"]
            )
            told = {"before": self.rounds[0].heldout, "after": self.rounds[-1].heldout}
            card = CARD.format(
                name=self.config.output.name, rounds=self.settings.rounds, base=cards.in_words(debater.model), **told
            )
            model_folders.finish(folder, head + card)
        shutil.rmtree(self.folder.trainer, ignore_errors=True)


def sentence(found: Round, rounds: int) -> str:
    """Return a round in words, for the log."""
    of = found.heldout
    learned = f"kept {found.kept} speeches of {found.written.speeches}, " if found.written is not None else ""
    return (
        f"round {found.round}/{rounds}: {learned}held-out {of.quotes or 0:.2f} quotes a speech, "
        f"{of.in_limits or 0:.0%} within the limits"
    )


COLUMNS = ("quotes", "low", "high", "quoting", "in_limits", "tried", "verified", "words", "speeches", "failed")


def table(rounds: Sequence[Round]) -> str:
    """Return all rounds as CSV: figures on held-out stories, then what was written and kept."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["round", *COLUMNS, "kept", "of", "quotes_written", "loss", "seconds"])
    for found in rounds:
        own, written = found.heldout.stored(), found.written.stored() if found.written is not None else {}
        more = [found.kept, written.get("speeches", ""), written.get("quotes", ""), found.loss, found.seconds]
        writer.writerow([found.round, *(own.get(column) for column in COLUMNS), *more])
    return file.getvalue()
