"""What every engine must do, as checks that the tests of any engine can run, another package's included.

    SUBJECT = conformance.subject("embedded/debater", engine_settings("mine"), folder)

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
    def test_my_engine(check):
        check(SUBJECT)

A check raises AssertionError where the engine is wrong. The model's own forward pass is what engines are held against,
in float32; `TOLERANCE` is how far log-probabilities may lie apart.
"""

import math
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from rostrum.rewards.types import Unscored, Writing
from rostrum.trainer.engines import Engine, EngineError, EngineSettings, Sampling, make_engine, sleeping
from rostrum.trainer.engines.base import Forgetful, Request, Streams, complete
from rostrum.trainer.engines.texts import TextEngine
from rostrum.trainer.models import loading
from rostrum.trainer.types import Policy

TOLERANCE = 1e-3
"""Nats that log-probabilities may differ by."""
TEXTS = (
    "where is the key ?",
    "A says : in the kitchen anna saw it . B says :",
    "story : in the attic boris saw it . question : where is the ring A : attic B : kitchen argue A : attic A says :",
    "B",
)
CHOICES = (" attic", " kitchen")
PHRASES = (" in the attic anna saw it", " garden")
"""Choices of several tokens, and of unequal lengths."""

Scores = Sequence[tuple[float, ...]]


@dataclass
class Subject:
    """An engine on a model, and what it is tried with. Checks that change the weights put them back."""

    model: str
    settings: EngineSettings
    other: str
    """A folder with other full weights of the same architecture."""
    adapters: tuple[str, str]
    """Folders of two LoRA adapters of one rank on the model."""
    expected: dict[str, torch.nn.Module] = field(default_factory=dict)

    @cached_property
    def engine(self) -> TextEngine:
        """The engine, started once."""
        return self.start(self.model)

    def start(self, model: str) -> TextEngine:
        """Return a new engine."""
        engine: Engine = make_engine(model, self.settings)
        assert isinstance(engine, TextEngine), "an engine that judges can use derives from TextEngine"
        return engine

    @cached_property
    def prompts(self) -> list[list[int]]:
        """Prompts of unequal lengths, in tokens."""
        return [self.engine.format.open([text]) for text in TEXTS]

    @cached_property
    def rows(self) -> list[list[int]]:
        """Rows to be scored: the longer prompts."""
        return [prompt for prompt in self.prompts if len(prompt) > 2]

    def own(self, model: str, rows: Sequence[Sequence[int]]) -> Scores:
        """Return the log-probabilities that the model's forward pass gives each row's tokens but the first."""
        scores = [self.logits(model, row)[:-1].log_softmax(-1) for row in rows]
        return [
            tuple(s.gather(1, torch.tensor(row)[1:, None])[:, 0].tolist()) for s, row in zip(scores, rows, strict=True)
        ]

    @torch.no_grad()
    def logits(self, model: str, row: Sequence[int]) -> torch.Tensor:
        """Return (T, V) logits of the token after each of T, by a forward pass of the row alone."""
        if model not in self.expected:
            self.expected[model] = loading.load_model(model).eval()
        logits: torch.Tensor = self.expected[model](torch.tensor([list(row)])).logits[0].float()
        return logits


def subject(model: str, settings: EngineSettings, folder: Path) -> Subject:
    """Return an engine to be checked on a model that is a folder, with other weights and two adapters made of it."""
    place = loading.resolve(model)
    torch.manual_seed(0)
    return Subject(
        place, settings, _changed(place, folder / "other"), (_adapter(place, folder, 1), _adapter(place, folder, 2))
    )


def _changed(model: str, folder: Path) -> str:
    shutil.copytree(model, folder)
    weights = load_file(folder / "model.safetensors")
    noisy = {name: w.float() + 0.05 * torch.randn(w.shape) for name, w in weights.items()}
    save_file(noisy, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def _adapter(model: str, folder: Path, number: int) -> str:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", target_modules="all-linear")
    adapted = get_peft_model(loading.load_model(model), config, autocast_adapter_dtype=False)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    adapted.save_pretrained(str(folder / f"adapter-{number}"))
    return str(folder / f"adapter-{number}")


def apart(one: Scores, other: Scores) -> float:
    """Return the largest difference between two lists of log-probabilities, in nats."""
    assert [len(row) for row in one] == [len(row) for row in other]
    return max((abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)), default=0.0)


def tokens_come_back_with_their_log_probabilities(of: Subject) -> None:
    """Expect one completion per prompt: tokens of the vocabulary, a log-probability for each, no more than were asked
    for."""
    completions = of.engine.generate(of.prompts, Sampling(6, seed=1))
    assert len(completions) == len(of.prompts)
    known = int(loading.load_model(of.model).config.get_text_config().vocab_size)
    for completion in completions:
        assert 1 <= len(completion.token_ids) <= 6 and len(completion.logprobs) == len(completion.token_ids)
        assert all(isinstance(token, int) and 0 <= token < known for token in completion.token_ids)
        assert all(value <= 1e-6 for value in completion.logprobs)


def the_seed_decides(of: Subject) -> None:
    """Expect the same tokens from the same seed, and others from another."""
    prompts = of.prompts * 4
    first, again, other = (of.engine.generate(prompts, Sampling(8, 1.0, seed)) for seed in (7, 7, 8))
    assert [c.token_ids for c in first] == [c.token_ids for c in again]
    assert apart([c.logprobs for c in first], [c.logprobs for c in again]) <= TOLERANCE
    assert [c.token_ids for c in first] != [c.token_ids for c in other]


def random_generators_are_left_alone(of: Subject) -> None:
    """Expect the global generators of this process, from which the learner draws, as they were."""
    before = torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state(legacy=False))
    of.engine.generate(of.prompts, Sampling(3, seed=1))
    assert before == (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state(legacy=False)))


def sampled_log_probabilities_are_those_that_are_read(of: Subject) -> None:
    """Expect a completion's log-probabilities to be what `logprobs` and the model itself find for the same tokens."""
    completions = of.engine.generate(of.prompts, Sampling(8, seed=2))
    rows = [[*prompt, *found.token_ids] for prompt, found in zip(of.prompts, completions, strict=True)]
    sampled = [completion.logprobs for completion in completions]
    for scores in (of.engine.logprobs(rows), of.own(of.model, rows)):
        assert apart(sampled, [row[len(p) - 1 :] for row, p in zip(scores, of.prompts, strict=True)]) <= TOLERANCE


def a_temperature_sharpens_what_is_sampled(of: Subject) -> None:
    """Expect log-probabilities of samples at their temperature, and at 0 the likeliest token."""
    (sharp,) = of.engine.generate(of.prompts[:1], Sampling(1, 0.5, seed=4))
    logits = of.logits(of.model, of.prompts[0])[-1]
    assert abs(sharp.logprobs[0] - float((logits / 0.5).log_softmax(-1)[sharp.token_ids[0]])) <= TOLERANCE
    greedy = [of.engine.generate(of.prompts, Sampling(1, 0.0, seed)) for seed in (0, 1)]
    likeliest = [int(of.logits(of.model, prompt)[-1].argmax()) for prompt in of.prompts]
    assert all([c.token_ids[0] for c in found] == likeliest for found in greedy)


def scored_rows_are_the_models_own(of: Subject) -> None:
    """Expect `logprobs` to give the log-probability of every token but the first."""
    assert apart(of.engine.logprobs(of.rows), of.own(of.model, of.rows)) <= TOLERANCE


def choices_are_summed_over_tokens_and_spellings(of: Subject) -> None:
    """Expect a choice of several tokens to be their sum; where all are one token, so is every token that spells the
    choice."""
    form = of.engine.format
    for choices in (CHOICES, PHRASES):
        found = of.engine.choice_logprobs(TEXTS, [choices] * len(TEXTS))
        for prompt, values in zip(TEXTS, found, strict=True):
            context, rows = form.open([prompt]), [form.choice(choice, prompt) for choice in choices]
            alone = all(len(row) == 1 for row in rows)
            for choice, row, value in zip(choices, rows, values, strict=True):
                spelled = {tuple(row), *((token,) for token in form.spellings(choice))} if alone else {tuple(row)}
                scores = of.own(of.model, [[*context, *tokens] for tokens in sorted(spelled)])
                sums = [sum(each[len(context) - 1 :]) for each in scores]
                assert abs(value - float(np.logaddexp.reduce(sums))) <= TOLERANCE * len(row)


def no_more_tokens_than_were_asked_for(of: Subject) -> None:
    """Expect a speech that is cut to have as many tokens as were asked for and to say "length"."""
    for number in (1, 3):
        for completion in of.engine.generate(of.prompts, Sampling(number, seed=5)):
            assert len(completion.token_ids) <= number
            assert completion.finish_reason == "stop" or len(completion.token_ids) == number


def an_end_token_ends_a_speech(of: Subject) -> None:
    """Expect the end token to be the last one, to be returned, and to give "stop"; "length" has none."""
    ends = loading.end_tokens(of.model, loading.load_tokenizer(of.model))
    found = of.engine.generate(of.prompts * 4, Sampling(24, seed=6))
    assert {completion.finish_reason for completion in found} <= {"stop", "length"}
    assert any(completion.finish_reason == "stop" for completion in found), "the model has to say its end token"
    for completion in found:
        *before, last = completion.token_ids
        assert not ends.intersection(before) and (last in ends) == (completion.finish_reason == "stop")


def nothing_asked_nothing_answered(of: Subject) -> None:
    """Expect empty batches to be answered."""
    assert of.engine.generate([], Sampling(4)) == [] and of.engine.logprobs([]) == []
    assert of.engine.choice_logprobs([], []) == [] and of.engine.write([], Writing(4)) == []


def the_order_of_a_batch_does_not_matter(of: Subject) -> None:
    """Expect neither the order of a batch nor what else is in it to matter: for scores, choices, and the likeliest
    tokens."""
    backwards = of.rows[::-1]
    assert apart(of.engine.logprobs(of.rows)[::-1], of.engine.logprobs(backwards)) <= TOLERANCE
    assert apart(of.engine.logprobs(of.rows)[:1], of.engine.logprobs(of.rows[:1])) <= TOLERANCE
    asked = [CHOICES] * len(TEXTS)
    assert (
        apart(of.engine.choice_logprobs(TEXTS, asked)[::-1], of.engine.choice_logprobs(TEXTS[::-1], asked)) <= TOLERANCE
    )
    greedy, turned = (of.engine.generate(prompts, Sampling(6, 0.0)) for prompts in (of.prompts, of.prompts[::-1]))
    assert [c.token_ids for c in greedy] == [c.token_ids for c in turned[::-1]]


def prompts_are_taken_while_others_are_under_way(of: Subject) -> None:
    """Expect an engine that streams to complete the same after a prompt and a seed, whatever else is under way and
    whenever it was asked; what is aborted is gone."""
    engine = of.engine
    if not isinstance(engine, Streams):
        return
    sampling, prompts = Sampling(8, 1.0), of.prompts * 2
    requests = [Request(number, prompt, 100 + number) for number, prompt in enumerate(prompts)]
    alone = [complete(engine, [request], sampling)[0] for request in requests]
    together = complete(engine, requests, sampling)
    waiting, found = requests[2:], dict(engine.stream(requests[:2], sampling))
    while len(found) < len(requests):  # one more for each that is completed, and two at the beginning
        more, waiting = waiting[:1], waiting[1:]
        found |= engine.stream(more, sampling)
    assert len(engine.stream(requests, sampling)) > 0
    engine.abort()
    assert engine.stream((), sampling) == {}
    for other in (together, [found[number] for number in range(len(requests))], complete(engine, requests, sampling)):
        assert [c.token_ids for c in other] == [c.token_ids for c in alone]
        assert apart([c.logprobs for c in other], [c.logprobs for c in alone]) <= TOLERANCE
    assert alone[: len(of.prompts)] != alone[len(of.prompts) :], "copies of a prompt are sampled apart"
    try:
        engine.stream([Request(0, (of.prompts[1] * of.engine.max_context)[: of.engine.max_context], 0)], sampling)
    except EngineError as error:
        assert str(of.engine.max_context) in str(error)
    else:
        raise AssertionError("a prompt that fills the context left no room, and was not refused")


def new_weights_are_served_at_once(of: Subject) -> None:
    """Expect everything to be of the new weights after `load`, what was read before included; and back."""
    asked = [CHOICES] * len(TEXTS)
    before, chosen = of.engine.logprobs(of.rows), of.engine.choice_logprobs(TEXTS, asked)
    assert apart(before, of.own(of.other, of.rows)) > 10 * TOLERANCE
    try:
        of.engine.load(Policy("current", 1, of.other))
        assert apart(of.engine.logprobs(of.rows), of.own(of.other, of.rows)) <= TOLERANCE
        assert apart(of.engine.choice_logprobs(TEXTS, asked), chosen) > 10 * TOLERANCE
    finally:
        of.engine.load(Policy("current", 2, of.model))
    assert apart(of.engine.logprobs(of.rows), before) <= TOLERANCE


def an_adapter_is_served_beside_its_base(of: Subject) -> None:
    """Expect an engine on an adapter to serve it, take another of its rank over, and leave an engine on the base
    alone."""
    if not of.settings.serves_adapters:
        return
    first, second = of.adapters
    engine = of.start(first)
    assert apart(engine.logprobs(of.rows), of.own(of.model, of.rows)) > 10 * TOLERANCE
    assert apart(engine.logprobs(of.rows), of.own(first, of.rows)) <= TOLERANCE
    engine.load(Policy("current", 1, second))
    assert apart(engine.logprobs(of.rows), of.own(second, of.rows)) <= TOLERANCE
    assert apart(of.engine.logprobs(of.rows), of.own(of.model, of.rows)) <= TOLERANCE


def what_does_not_fit_is_said(of: Subject) -> None:
    """Expect a prompt without room for its speech to be refused, and a choice or a text without room to be a gap among
    the others."""
    longest = of.engine.max_context
    assert 0 < longest <= loading.read_context_length(of.model)
    row = (of.prompts[1] * longest)[:longest]
    try:
        of.engine.generate([of.prompts[0], row], Sampling(1))
    except EngineError as error:
        assert str(longest) in str(error)
    else:
        raise AssertionError("a prompt that fills the context left no room, and was not refused")
    long = " ".join([TEXTS[1]] * longest)
    fits, too_long = of.engine.choice_logprobs([TEXTS[0], long], [CHOICES] * 2)
    assert all(map(math.isfinite, fits)) and all(map(math.isnan, too_long))
    text, gap = of.engine.write([TEXTS[0], long], Writing(4))
    assert isinstance(text, str) and isinstance(gap, Unscored)


def what_judges_ask_is_counted(of: Subject) -> None:
    """Expect `usage` to grow by prompts, tokens read and tokens written."""
    before = of.engine.usage
    texts = of.engine.write([TEXTS[0]], Writing(5))
    asked = of.engine.usage - before
    assert of.engine.write([TEXTS[0]], Writing(5)) == texts, "temperature 0 writes the same again"
    assert (asked.requests, asked.prompt_tokens) == (1, len(of.prompts[0])) and 1 <= asked.new_tokens <= 5


def sleep_changes_nothing(of: Subject) -> None:
    """Expect an engine that gives its memory back to wake up by itself, with the weights that it had."""
    if not of.settings.sleeps:
        return
    before = of.engine.logprobs(of.rows)
    sleeping.all_sleep()
    assert apart(of.engine.logprobs(of.rows), before) <= TOLERANCE
    assert len(of.engine.generate(of.prompts, Sampling(2))) == len(of.prompts)


def what_it_says_it_can_do_is_there(of: Subject) -> None:
    """Expect an engine with transports to receive weights and to name a sender, and one with a prefix cache to count
    it; one that forgets finds nothing then."""
    of.settings.check()
    assert bool(of.settings.transports) == (of.settings.sender is not None)
    if of.settings.transports:
        assert callable(getattr(of.engine, "transfer", None)) and str(getattr(of.engine, "receiver", ""))
    if of.settings.caches_prefixes or of.settings.forgets:
        queries, hits = getattr(of.engine, "prefix_cache")  # noqa: B009
        assert 0 <= hits <= queries
    if of.settings.forgets:
        engine, longest = cast(Forgetful, of.engine), max(of.prompts, key=len)
        found = []
        for forgotten in (True, False, True):
            if forgotten:
                engine.forget()
            _, before = engine.prefix_cache
            of.engine.generate([longest], Sampling(2))
            found.append(engine.prefix_cache[1] - before)
        assert found == [0, found[1], 0]
        assert (found[1] > 0) == (len(longest) >= of.settings.keeps_from)


CHECKS: tuple[Callable[[Subject], None], ...] = (
    tokens_come_back_with_their_log_probabilities,
    the_seed_decides,
    random_generators_are_left_alone,
    sampled_log_probabilities_are_those_that_are_read,
    a_temperature_sharpens_what_is_sampled,
    scored_rows_are_the_models_own,
    choices_are_summed_over_tokens_and_spellings,
    no_more_tokens_than_were_asked_for,
    an_end_token_ends_a_speech,
    nothing_asked_nothing_answered,
    the_order_of_a_batch_does_not_matter,
    prompts_are_taken_while_others_are_under_way,
    new_weights_are_served_at_once,
    an_adapter_is_served_beside_its_base,
    what_does_not_fit_is_said,
    what_judges_ask_is_counted,
    sleep_changes_nothing,
    what_it_says_it_can_do_is_there,
)
