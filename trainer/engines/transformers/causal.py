"""Hugging Face's causal models in this process, batched, on a GPU if there is one and else on the CPU."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from rostrum.rewards.types import Unscored, Writing
from rostrum.trainer.engines import sleeping
from rostrum.trainer.engines.base import Completion, EngineSettings, Sampling, check_room
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.engines.texts import TextEngine
from rostrum.trainer.engines.transformers import Settings
from rostrum.trainer.engines.transformers.prefix_reader import PrefixReader, can_share
from rostrum.trainer.models import loading
from rostrum.trainer.types import Policy

DEFAULT = Settings()


class TransformersEngine(TextEngine):
    """Generates and scores with one model. `batch_size` rows are processed at a time; rows are padded on the left."""

    def __init__(self, model: str, setup: EngineSettings = DEFAULT, device: str | None = None) -> None:
        self._batch_size, self._dtype = setup.batch_size, getattr(torch, setup.dtype)
        self._device = device or loading.default_device()
        self.tokenizer = loading.load_tokenizer(model)
        self._ends = loading.end_tokens(model, self.tokenizer)
        self.format = make_format(self.tokenizer, self._ends, setup.format, setup.thinking)
        self._kept_bytes, self._keeps_from = setup.kept_bytes if isinstance(setup, Settings) else 0, setup.keeps_from
        self._looked_up, self._reader = (0, 0), cast(PrefixReader | None, None)
        self._shares: bool | None = None
        self._serve(model)
        if self._kept_bytes:
            sleeping.register(self)

    def load(self, policy: Policy) -> None:
        """Serve the weights of a published policy from now on."""
        self._serve(policy.path)

    def _serve(self, model: str) -> None:
        self._model = loading.load_model(model, self._dtype, self._device).eval().requires_grad_(False)
        self._model.generation_config = (
            GenerationConfig()
        )  # sampling is ours: no top-k or penalty from the model folder
        self.forget()

    def forget(self) -> None:
        """Drop what is kept of earlier prompts."""
        self._looked_up, self._reader = self.prefix_cache, None

    def _keeping(self, prompts: Iterable[Sequence[int]]) -> PrefixReader | None:
        """Return what reads these prompts and keeps them; None where they are read as a whole."""
        if not self._kept_bytes or max(map(len, prompts), default=0) < self._keeps_from:
            return None
        if self._shares is None:
            self._shares = can_share(self._model, self._device)
        if self._shares and self._reader is None:
            self._reader = PrefixReader(self._model, self._kept_bytes, self._device)
        return self._reader

    def write(self, prompts: Sequence[str], writing: Writing) -> list[str | Unscored]:
        """Return a text for each prompt. It does not depend on what was read before."""
        self.forget()
        return super().write(prompts, writing)

    def sleep(self) -> None:
        """Give back what is kept of earlier prompts."""
        self.forget()

    @property
    def prefix_cache(self) -> tuple[int, int]:
        """Tokens of prompts so far that were looked up, and those among them that did not have to be read: kept from an
        earlier prompt, or read for another one of the same call. Both are 0 where nothing is kept."""
        asked, found = self._looked_up
        reader = self._reader
        return (asked, found) if reader is None else (asked + reader.asked, found + reader.found)

    @property
    def max_context(self) -> int:
        """The longest row, in tokens, that the model can read."""
        return loading.context_length(self._model.config)

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """Return one completion per prompt (lists of token ids).

        Raises:
            EngineError: a prompt with `max_tokens` after it would not fit the model's context.
        """
        check_room(prompts, sampling, self.max_context)
        generator = torch.Generator(self._device).manual_seed(sampling.seed)
        chunks = [prompts[i : i + self._batch_size] for i in range(0, len(prompts), self._batch_size)]
        return [completion for chunk in chunks for completion in self._generate(chunk, sampling, generator)]

    @torch.inference_mode()
    def _generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, generator: torch.Generator
    ) -> list[Completion]:
        sampler = _Sampler(sampling.temperature, generator)
        if reader := self._keeping(prompts):
            return self._go_on(reader, prompts, sampling.max_tokens, sampler)
        ids, attention = self._pad(prompts)
        output = self._model.generate(
            inputs=ids,
            attention_mask=attention,
            logits_processor=LogitsProcessorList([sampler]),
            synced_gpus=False,
            generation_config=GenerationConfig(
                max_new_tokens=sampling.max_tokens,
                do_sample=False,
                eos_token_id=sorted(self._ends),
                pad_token_id=self.tokenizer.pad_token_id,
            ),
        )
        sampled = output[:, ids.shape[1] :].tolist()
        logprobs = torch.stack(sampler.logprobs, dim=1).tolist()
        return [self._completion(tokens, values) for tokens, values in zip(sampled, logprobs, strict=True)]

    def _go_on(
        self, reader: PrefixReader, prompts: Sequence[Sequence[int]], max_tokens: int, sampler: "_Sampler"
    ) -> list[Completion]:
        """Sample after what is kept, drawing what would be drawn after prompts that are read as a whole."""
        ends = torch.tensor(sorted(self._ends), device=self._device)
        batch = reader.open(prompts, max_tokens)
        drawn, more = [sampler.draw(batch.logits)], reader.go_on(batch)
        ended = torch.isin(drawn[0], ends)
        while len(drawn) < max_tokens and not ended.all():
            drawn.append(sampler.draw(more.read(drawn[-1])))
            ended |= torch.isin(drawn[-1], ends)
        sampled, logprobs = torch.stack(drawn, 1).tolist(), torch.stack(sampler.logprobs, 1).tolist()
        completions = [self._completion(tokens, values) for tokens, values in zip(sampled, logprobs, strict=True)]
        reader.keep(batch, [completion.token_ids[: len(drawn) - 1] for completion in completions])
        return completions

    def _completion(self, tokens: list[int], logprobs: list[float]) -> Completion:
        end = next((i for i, token in enumerate(tokens) if token in self._ends), None)
        length = len(tokens) if end is None else end + 1
        return Completion(tuple(tokens[:length]), tuple(logprobs[:length]), "length" if end is None else "stop")

    @torch.inference_mode()
    def logprobs(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        """Return the log-probability of every token but the first of each row, by a plain forward pass."""
        scored: list[tuple[float, ...]] = []
        for start in range(0, len(rows), self._batch_size):
            batch = rows[start : start + self._batch_size]
            ids, attention = self._pad(batch)
            values = _token_logprobs(self._forward(ids, attention).logits[:, :-1], ids[:, 1:])
            scored += [tuple(values[i, len(values[i]) - len(row) + 1 :].tolist()) for i, row in enumerate(batch)]
        return scored

    @torch.inference_mode()
    def score(self, wanted: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[float]:
        """Return the log-probability (nats, summed over tokens) of each continuation after its context; NaN where they
        do not fit the model's context. Rows that several continuations need are read once: for continuations of one
        token, that is the context alone."""
        rows = {row for prompt, choice in wanted if len(row := prompt + choice[:-1]) <= self.max_context}
        keep = max((len(choice) for _, choice in wanted), default=1)
        last: dict[tuple[int, ...], torch.Tensor] = {}
        reader = self._keeping(rows)
        ordered = sorted(rows) if reader else sorted(rows, key=lambda row: (len(row), row))
        for start in range(0, len(ordered), self._batch_size):
            batch = ordered[start : start + self._batch_size]
            if reader:
                logits = reader.score(batch, keep)
            else:
                logits = list(self._forward(*self._pad(batch), logits_to_keep=keep).logits)
            last.update({row: of.float().log_softmax(-1) for row, of in zip(batch, logits, strict=True)})
        return [_choice_logprob(last.get(prompt + choice[:-1]), choice) for prompt, choice in wanted]

    def _forward(self, ids: torch.Tensor, attention: torch.Tensor, logits_to_keep: int = 0) -> Any:
        positions = (
            {"position_ids": loading.positions_in_text(attention)} if loading.takes_positions(self._model) else {}
        )
        return self._model(
            input_ids=ids, attention_mask=attention, use_cache=False, logits_to_keep=logits_to_keep, **positions
        )

    def _pad(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width, pad = max(map(len, rows)), self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=self._device)
        attention = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self._device)
        return ids, attention


class _Sampler(LogitsProcessor):
    """Draws the next token itself and leaves only that one possible.

    So each call has a random generator of its own, and log-probabilities are kept for the drawn tokens alone, not for
    the whole vocabulary at every step as `output_logits` would.
    """

    def __init__(self, temperature: float, generator: torch.Generator) -> None:
        self._temperature, self._generator = temperature, generator
        self.logprobs: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        drawn = self.draw(scores)[:, None]
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)

    def draw(self, scores: torch.Tensor) -> torch.Tensor:
        """Return a token (B,) for each row of scores (B, V)."""
        logprobs = (scores.float() / max(self._temperature, 1e-6)).log_softmax(-1)
        if self._temperature > 0:
            drawn = torch.multinomial(logprobs.exp(), 1, generator=self._generator)
        else:
            drawn = logprobs.argmax(-1, keepdim=True)
        self.logprobs.append(logprobs.gather(1, drawn).squeeze(1))
        return drawn.squeeze(1)


def _choice_logprob(last: torch.Tensor | None, choice: tuple[int, ...]) -> float:
    """Return the sum of the choice's log-probabilities, given those (K, V) of the row's last positions; NaN if it
    was not read."""
    if last is None:
        return float("nan")
    return float(sum(last[i - len(choice), token] for i, token in enumerate(choice)))


def _token_logprobs(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of `tokens` (B, T) under `logits` (B, T, V)."""
    return logits.float().log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
