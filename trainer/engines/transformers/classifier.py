"""Models with a classification or reward head, in this process."""

import math
from collections.abc import Sequence

import torch

from rostrum.rewards.types import Usage
from rostrum.trainer.engines.base import EngineSettings
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.engines.transformers import Settings
from rostrum.trainer.models import loading

DEFAULT = Settings()


class TransformersClassifier:
    """A `rewards.types.Classifier`. The head reads the last token of a prompt, or whatever its architecture pools.

    Prompts are padded on the right, where causal models do not look and encoders mask it; `batch_size` prompts of
    about the same length are read at a time.
    """

    def __init__(self, model: str, setup: EngineSettings = DEFAULT, device: str | None = None) -> None:
        self._batch_size, self._device = setup.batch_size, device or loading.default_device()
        tokenizer = loading.load_tokenizer(model, speaks=False)
        self._format, self._pad = make_format(tokenizer, (), setup.format, speaks=False), int(tokenizer.pad_token_id)
        self._model = loading.load_classifier(model, getattr(torch, setup.dtype), self._device).eval()
        self._model.config.get_text_config().pad_token_id = self._pad  # tells the last token of a prompt from padding
        self.max_context = min(loading.context_length(self._model.config), tokenizer.model_max_length)
        self.usage = Usage()

    @property
    def outputs(self) -> int:
        """How many numbers the head gives."""
        return int(self._model.config.num_labels)

    def logits(self, prompts: Sequence[str]) -> list[tuple[float, ...]]:
        """Return the head's outputs for each prompt; NaN for one that does not fit the model's context."""
        rows = [self._format.open([prompt]) for prompt in prompts]
        fitting = sorted((i for i, row in enumerate(rows) if len(row) <= self.max_context), key=lambda i: len(rows[i]))
        self.usage += Usage(len(fitting), sum(len(rows[i]) for i in fitting))
        found: dict[int, tuple[float, ...]] = {}
        for start in range(0, len(fitting), self._batch_size):
            batch = fitting[start : start + self._batch_size]
            found.update(zip(batch, self._read([rows[i] for i in batch]), strict=True))
        return [found.get(i, (math.nan,) * self.outputs) for i in range(len(rows))]

    @torch.inference_mode()
    def _read(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[self._pad] * (width - len(row))] for row in rows], device=self._device)
        attention = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self._device)
        outputs = self._model(input_ids=ids, attention_mask=attention).logits.float()
        return [tuple(row) for row in outputs.tolist()]
