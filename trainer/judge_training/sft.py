"""Teaching a judge to say its verdict, as a letter or as an answer's own words: TRL's `SFTTrainer` with soft targets.

Only the verdict's tokens are learned from. A debate whose target is t costs -t log p(A's words) - (1 - t) log p(B's
words): a gold label is one sequence and a confidence two weighted ones, which is that cross-entropy exactly.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import SFTConfig, SFTTrainer

from rostrum.trainer.judge_training.batches import VerdictCollator, verdict_loss
from rostrum.trainer.judge_training.data import Reading, columns_of
from rostrum.trainer.judge_training.learning import JudgeTrainer


class VerdictTrainer(JudgeTrainer, SFTTrainer):
    """TRL's trainer, but for the loss, which weights sequences and is a mean over readings, not over tokens."""

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        return verdict_loss(_log_probs(model, inputs), inputs["weights"])

    def batch_log_odds(self, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Return log p(A's words) - log p(B's words) of each row."""
        inputs = self._prepare_inputs(self.data_collator(rows, both=True))
        of_a, of_b = _log_probs(self.model, inputs).sum(-1).view(-1, 2).unbind(1)
        return of_a - of_b


def _log_probs(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the log-probabilities (rows, positions) of the labelled tokens by TRL's fused head; 0 elsewhere."""
    read = {name: inputs[name] for name in ("input_ids", "attention_mask", "labels")}
    log_probs: torch.Tensor = model(**read, use_cache=False, fused_lm_head=True).log_probs.float()
    return log_probs


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train: Sequence[Reading],
    heldout: Sequence[Reading],
    adapter: Any,
    **arguments: Any,
) -> VerdictTrainer:
    """Return a trainer for a causal language model; `adapter` is peft's configuration or None."""
    trainer = VerdictTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=columns_of(train),
        eval_dataset=columns_of(heldout[:1]),
        data_collator=VerdictCollator(tokenizer.pad_token_id),
        peft_config=adapter,
        args=SFTConfig(**arguments, max_length=None, dataset_kwargs={"skip_prepare_dataset": True}),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.heldout = heldout
    return trainer
