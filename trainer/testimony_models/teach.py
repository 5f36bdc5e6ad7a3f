"""Next-word teaching: rows of text of which only some words are taught, and the loop that teaches them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

T = TypeVar("T")
Progress = Callable[[str], None]
Segment = tuple[str, bool]
"""Some words, and whether the model is taught to write them."""
Row = Sequence[Segment]
IGNORED = -100
"""Label of a word that is read but not taught (the convention of `torch.nn.functional.cross_entropy`)."""


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how fast a model is taught."""

    steps: int
    batch: int = 64
    rate: float = 1e-3
    """Peak learning rate. At 2e-3 and above the look-up skill stays on its plateau for a thousand steps."""
    enough: float = 0.0
    """Stop early once the mean loss of the last 25 steps is below this (nats per taught word)."""


def encode(rows: Sequence[Row], tokenizer: PreTrainedTokenizerFast) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the token ids and labels, both (rows, longest row), padded on the right; labels of untaught words are
    ignored."""
    ids = tokenizer.get_vocab()
    inputs, labels = [], []
    for row in rows:
        words = [(ids[word], taught) for text, taught in row for word in text.split()]
        inputs.append(torch.tensor([token for token, _ in words]))
        labels.append(torch.tensor([token if taught else IGNORED for token, taught in words]))
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(inputs, True, ids[str(tokenizer.pad_token)]), pad(labels, True, IGNORED)


def row_loss(model: PreTrainedModel, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy (nats) of the taught words; inputs and labels are (rows, length)."""
    # Rows are padded on the right and the models are causal, so no taught word ever sees padding.
    hidden = model.base_model(input_ids=inputs[:, :-1]).last_hidden_state
    targets = labels[:, 1:]
    taught = targets != IGNORED
    logits = model.get_output_embeddings()(hidden[taught])
    return torch.nn.functional.cross_entropy(logits, targets[taught])


def rate_at(step: int, course: Course) -> float:
    """Return the learning rate: linear warm-up over 20 steps, the peak, and over the last third a straight line down to
    a tenth of it."""
    remaining = 1 - step / course.steps
    return course.rate * min(1.0, (step + 1) / 20, 0.1 + 2.7 * remaining)


def teach(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Iterator[Row],
    course: Course,
    name: str,
    progress: Progress,
) -> int:
    """Teach the model in place, row by fresh row; return the steps taken."""
    return descend(model, lambda: row_loss(model, *encode(_some(rows, course), tokenizer)), course, name, progress)


def teach_head(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Iterator[tuple[str, float]],
    course: Course,
    name: str,
    progress: Progress,
) -> int:
    """Teach a classifier in place, from texts and the probabilities of class 0; return the steps taken."""

    def loss() -> torch.Tensor:
        texts, of_first = zip(*_some(rows, course), strict=True)
        logits = model(**tokenizer(list(texts), return_tensors="pt", padding=True, padding_side="right")).logits
        targets = torch.tensor([[p, 1 - p] for p in of_first])
        return torch.nn.functional.cross_entropy(logits, targets)

    return descend(model, loss, course, name, progress)


def descend(
    model: PreTrainedModel, loss_of_batch: Callable[[], torch.Tensor], course: Course, name: str, progress: Progress
) -> int:
    """Take the course's optimizer steps, each on the loss of a fresh batch; return how many they were."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=course.rate, betas=(0.9, 0.98), weight_decay=0.01)
    model.train()
    recent: list[float] = []
    for step in range(course.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, course)
        loss = loss_of_batch()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        recent = [*recent, loss.item()][-25:]
        done = step + 1 == course.steps or (len(recent) == 25 and sum(recent) / 25 < course.enough)
        if (step + 1) % 50 == 0 or done:
            progress(f"{name}: step {step + 1} of {course.steps}, loss {sum(recent) / len(recent):.3f}")
        if done:
            break
    model.eval()
    return step + 1


def _some(rows: Iterator[T], course: Course) -> list[T]:
    return [next(rows) for _ in range(course.batch)]
