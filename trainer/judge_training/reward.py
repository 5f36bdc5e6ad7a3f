"""Teaching a judge with a classification head: two classes, 0 for the answer of A and 1 for that of B.

The trainer is transformers' own `Trainer`, not TRL's `RewardTrainer`: that one learns a number per text from pairs of
texts of which one is preferred (Bradley-Terry), while a debate is one text with a probability for each of its two
answers. Soft targets are learned by soft cross-entropy.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from rostrum.trainer.judge_training.batches import ClassCollator, class_loss
from rostrum.trainer.judge_training.data import JudgeTrainingError, Reading, columns_of
from rostrum.trainer.judge_training.learning import JudgeTrainer
from rostrum.trainer.models import loading

CLASSES = {0: "A", 1: "B"}


class ClassTrainer(JudgeTrainer):
    """transformers' trainer with soft cross-entropy over the two classes."""

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        return class_loss(_logits(model, inputs), inputs["targets"], inputs["weights"])

    def batch_log_odds(self, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Return the logit of class 0 less that of class 1, for each row."""
        of_a, of_b = _logits(self.model, self._prepare_inputs(self.data_collator(rows))).float().unbind(1)
        return of_a - of_b


def _logits(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    read = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    logits: torch.Tensor = model(**read, use_cache=False).logits
    return logits


def load_classifier(model: str, tokenizer: PreTrainedTokenizerBase, device: str) -> PreTrainedModel:
    """Return the model with a head of two classes: its own if it has one, else a fresh one on a language model.

    Raises:
        JudgeTrainingError: it is an adapter, or has a head of another number of classes.
        ModelError: weights other than those of a new head are missing.
    """
    folder = loading.resolve(model)
    if folder != loading.resolve_base(model):
        raise JudgeTrainingError(f"{model} is an adapter: merge it first (`rostrum export` does), or name its base.")
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    has_head = any("SequenceClassification" in name for name in config.architectures or ())
    if has_head and config.num_labels != len(CLASSES):
        raise JudgeTrainingError(
            f"{model} has {config.num_labels} classes and a judge has one for A and one for B: train another model."
        )
    config.num_labels = len(CLASSES)
    config.id2label, config.label2id = CLASSES, {name: index for index, name in CLASSES.items()}
    config.get_text_config().pad_token_id = tokenizer.pad_token_id
    with _without_report():
        loaded, missing = loading.load_weights(
            AutoModelForSequenceClassification, folder, config=config, dtype=torch.float32
        )
    body = f"{loaded.base_model_prefix}."
    loading.check_nothing_missing(model, [name for name in missing if has_head or name.startswith(body)])
    return loaded.to(device)


@contextmanager
def _without_report() -> Iterator[None]:
    """Silence transformers, which tells at length that the head is new and the language model's is not there: as it
    should be."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train: Sequence[Reading],
    heldout: Sequence[Reading],
    adapter: Any,
    **arguments: Any,
) -> ClassTrainer:
    """Return a trainer for a model with a head; `adapter` is peft's configuration or None."""
    if adapter is not None:
        from peft import get_peft_model

        model = get_peft_model(model, adapter)
    trainer = ClassTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=columns_of(train),
        eval_dataset=columns_of(heldout[:1]),
        data_collator=ClassCollator(tokenizer.pad_token_id),
        args=TrainingArguments(**arguments),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.heldout = heldout
    return trainer
