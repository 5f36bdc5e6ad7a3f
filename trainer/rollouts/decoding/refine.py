"""Critique and refine: a debater drafts, the same policy criticises, the debater writes again; only that is spoken.

Draft and critique stay in the speech's private record. What is spoken was not sampled in the speaker's own context, so
it is nothing to learn from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from rostrum.envs.debate import Utterance
from rostrum.envs.prompts import revisions
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.prompts.revisions import critique_prompt, rewrite_prompt
from rostrum.envs.types import Protocol
from rostrum.rewards.helpfulness import Helpfulness, helping_model, make_helpfulness
from rostrum.rewards.judges import JudgeError, JudgeSettings, Models
from rostrum.rewards.preference import in_both_orders
from rostrum.rewards.types import Judge
from rostrum.trainer.config.decoding import Refine
from rostrum.trainer.engines.base import Engine, Sampling
from rostrum.trainer.policies import belongs
from rostrum.trainer.rollouts.decoding.best_of import Favourite
from rostrum.trainer.rollouts.decoding.turns import Choice, Turn, Way, cost, drawing, reseeded, sample, utterances
from rostrum.trainer.types import BASE, Policy


def prepare(settings: Refine, protocol: Protocol, prompts: str, judge: JudgeSettings) -> Way:
    """Return the way of decoding=refine: with the judge that chooses, none for a single critique, and by what it does.

    Raises:
        JudgeError: it is to say which critique helps most, and cannot.
        PromptError: the prompt set lacks a template that this needs, or the protocol has roles.
    """
    revisions.require(load_prompts(prompts), protocol)
    if settings.critiques == 1:
        return partial(_made, 1, None, False)
    chooser = settings.chooser(judge)
    helps = helping_model(chooser) is not None
    if settings.choose == "helpfulness" and not helps:
        raise JudgeError(
            f"{chooser.name} cannot say which critique helps most: its prompt set has no helpful.j2, or its model a "
            "head in the place of words; choose another judge, or decoding.choose=speech."
        )
    return partial(_made, settings.critiques, in_both_orders(chooser), helps and settings.choose != "speech")


def _made(critiques: int, judge: JudgeSettings | None, by_help: bool, models: Models | None) -> "CritiqueAndRefine":
    if judge is None:
        return CritiqueAndRefine(critiques)
    assert models is not None
    helping = helping_model(judge) if by_help else None
    if helping is None:
        return CritiqueAndRefine(critiques, judge.make(models))
    return CritiqueAndRefine(critiques, None, make_helpfulness(helping, models))


class CritiqueAndRefine:
    """Speaks the rewrite that heeds the most helpful critique or, without somebody to say which that is, the judge's
    favourite of the rewrites that heed one each. Where there is one critique nobody is asked."""

    def __init__(self, critiques: int, judge: Judge | None = None, helpfulness: Helpfulness | None = None) -> None:
        self._critiques, self._helpfulness = critiques, helpfulness
        self._favourite = None if judge is None else Favourite(judge)

    def serves(self, policy: Policy) -> bool:
        """Return whether this policy speaks so: all do but the opponent that checkpoints are measured against."""
        return not belongs(policy.name, BASE)

    def speak(self, turns: Sequence[Turn], engine: Engine, sampling: Sampling, policy: Policy) -> list[Choice]:
        """Return the rewritten speeches."""
        drafts = utterances(drawing(turns, engine, sampling)(), engine, policy)
        revisions = [_Revision(turn, draft) for turn, draft in zip(turns, drafts, strict=True)]
        writers = [_Writer(engine, sampling, policy, number) for number in range(self._critiques)]
        for writer in writers:
            writer.criticise(revisions)
        if self._helpfulness is not None:
            _heed_most_helpful([r for r in revisions if not r.problem], self._helpfulness)
            writers = writers[:1]
        for number, writer in enumerate(writers):
            writer.rewrite(revisions, number)
        return self._chosen(revisions)

    def _chosen(self, revisions: Sequence["_Revision"]) -> list[Choice]:
        whole = [revision for revision in revisions if not revision.problem]
        options = [revision.rewrites for revision in whole]
        if self._favourite is None:
            picked = iter([(offered[0], 0) for offered in options])
        else:
            picked = iter(self._favourite.choose([revision.turn for revision in whole], options))
        return [
            Choice(None, problem=revision.problem) if revision.problem else revision.spoken(*next(picked))
            for revision in revisions
        ]


def _heed_most_helpful(revisions: Sequence["_Revision"], helpfulness: Helpfulness) -> None:
    """Put the critique that helps most first in each revision; the first of equals."""
    rated = iter(
        helpfulness.rate(
            [
                (revision.turn.debate, revision.turn.speech(revision.draft), revision.turn.speech(critique))
                for revision in revisions
                for critique in revision.critiques
            ]
        )
    )
    for revision in revisions:
        ratings = [next(rated) for _ in revision.critiques]
        revision.readings = len(ratings)
        helpful = revision.critiques.pop(ratings.index(max(ratings)))
        revision.critiques.insert(0, helpful)


class _Revision:
    """What becomes of one draft."""

    def __init__(self, turn: Turn, draft: Utterance) -> None:
        self.turn, self.draft, self.problem = turn, draft, ""
        self.critiques: list[Utterance] = []
        self.rewrites: list[Utterance] = []
        """One for each of the first critiques."""
        self.readings = 0
        """How often a model read to choose among the critiques."""

    def critique_prompt(self) -> str:
        return critique_prompt(self.turn.debate, self.turn.speech(self.draft))

    def rewrite_prompt(self, number: int) -> str:
        critique = self.turn.speech(self.critiques[number])
        return rewrite_prompt(self.turn.debate, self.turn.speech(self.draft), critique)

    def spoken(self, chosen: Utterance, readings: int) -> Choice:
        """Return one of the rewrites, with its draft and the critique that it heeds in its private record."""
        critique = self.critiques[self.rewrites.index(chosen)]
        private = f"draft: {self.draft.raw}\ncritique: {critique.raw}"
        spent = cost([self.draft, *self.critiques, *self.rewrites], self.readings + readings)
        return Choice(replace(chosen, private=private), spent)


class _Writer:
    """The policy with a prompt of its own before it, one for each draft."""

    def __init__(self, engine: Engine, sampling: Sampling, policy: Policy, number: int) -> None:
        self._engine, self._sampling, self._policy, self._number = engine, sampling, policy, number

    def criticise(self, revisions: Sequence[_Revision]) -> None:
        """Add a critique to each revision."""
        for revision, said in self._write("critique", [(r, r.critique_prompt()) for r in revisions if not r.problem]):
            revision.critiques.append(said)

    def rewrite(self, revisions: Sequence[_Revision], number: int) -> None:
        """Add a rewrite that heeds the critique of this number."""
        asked = [(r, r.rewrite_prompt(number)) for r in revisions if not r.problem]
        for revision, said in self._write("rewrite", asked):
            revision.rewrites.append(said)

    def _write(self, what: str, asked: Sequence[tuple[_Revision, str]]) -> Iterator[tuple[_Revision, Utterance]]:
        contexts = [(revision, self._engine.format.open([prompt])) for revision, prompt in asked]
        room = self._engine.max_context - self._sampling.max_tokens
        for revision, context in contexts:
            if len(context) > room:
                revision.problem = f"the prompt for a {what} has {len(context)} tokens, more than the {room} there are"
        fitting = [(revision, context) for revision, context in contexts if len(context) <= room]
        sampling = reseeded(self._sampling, what, self._number)
        said = sample([context for _, context in fitting], self._engine, sampling, self._policy) if fitting else []
        return zip([revision for revision, _ in fitting], said, strict=True)
