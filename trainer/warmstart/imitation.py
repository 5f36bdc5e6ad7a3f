"""Learning from speeches that were kept: TRL's `SFTTrainer` on the very tokens that were sampled.

One process on one device. Nothing but the weights outlives a round: the optimizer begins anew, as the speeches do.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback

from rostrum.trainer import setup
from rostrum.trainer.config import Config, WarmStart
from rostrum.trainer.judge_training.learning import ShowSteps
from rostrum.trainer.learners.forward import make_comparable
from rostrum.trainer.learners.trl_trainers import SFTConfig, SFTTrainer, arguments, wrapped_weights
from rostrum.trainer.models import loading
from rostrum.trainer.progress import activity
from rostrum.trainer.rollouts.schedule import derive
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.types import TokenRow
from rostrum.trainer.weights import finite
from rostrum.trainer.weights.publish import publish
from rostrum.trainer.weights.trained import check_trainable

IGNORED = -100
"""Label of a token that is read and not learned (the convention of `torch.nn.functional.cross_entropy`)."""


def imitate(config: Config, policy: Path | None, rows: Sequence[TokenRow], output: Path, version: int) -> float:
    """Train a published policy (None: the debater as it came) on the sampled tokens of rows, and publish what comes of
    it in `output`; return the mean loss over the steps, in nats per token.

    Raises:
        FiniteError: weights have become NaN or infinite; nothing is published.
    """
    set_seed(derive(config.seed, "warmstart", version))
    model = _model(config, policy)
    tokenizer = loading.load_tokenizer(config.debater.model)
    with activity(f"learning from {len(rows)} speeches", len(rows) * config.warmstart.epochs, "speeches") as bar:
        given = arguments(config, RunFolder(config.output).trainer)
        trainer = train_on(rows, model, tokenizer, config.warmstart, [ShowSteps(bar)], **given)
    finite.check(trainer.model.named_parameters(), version)
    publish(wrapped_weights(trainer), tokenizer, output, version)
    steps = [float(logs["loss"]) for logs in trainer.state.log_history if "loss" in logs]
    return sum(steps) / len(steps)


def _model(config: Config, policy: Path | None) -> Any:
    """Return the model with the weights that are learned held in float32."""
    dtype = setup.learner_dtype(config)
    if policy is None:
        model: Any = setup.policy_model(config.debater)
    else:
        model = loading.load_model(str(policy), dtype, float32_adapter=True)
    if config.debater.lora is None:
        return model.to(dtype)
    for name, parameter in model.named_parameters():
        if "lora_" in name:  # loaded frozen, or made in the dtype of the base
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
    return model


def columns_of(rows: Sequence[TokenRow]) -> dict[str, list[list[int]]]:
    """Return rows as the columns of a table: their tokens, and as labels the sampled ones among them."""
    return {
        "input_ids": [[*row.prompt, *row.completion] for row in rows],
        "labels": [
            [IGNORED] * len(row.prompt)
            + [token if sampled else IGNORED for token, sampled in zip(row.completion, row.mask, strict=True)]
            for row in rows
        ],
    }


def train_on(
    rows: Sequence[TokenRow],
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    settings: WarmStart,
    callbacks: Sequence[TrainerCallback] = (),
    **kwargs: Any,
) -> SFTTrainer:
    """Train on the rows; the trainer is returned with the model that it has trained."""
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        callbacks=list(callbacks),
        train_dataset=Dataset.from_dict(columns_of(rows)),
        args=SFTConfig(
            per_device_train_batch_size=settings.micro_batch_rows,
            gradient_accumulation_steps=settings.batch_rows // settings.micro_batch_rows,
            num_train_epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=0.05,
            max_grad_norm=settings.max_grad_norm,
            logging_steps=1,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            **kwargs,
        ),
    )
    trainer.remove_callback(PrinterCallback)
    check_trainable(trainer.model)
    make_comparable(trainer.model)
    trainer.train()
    return trainer
