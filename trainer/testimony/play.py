"""Base debates in bulk: both seats spoken by one model, for teaching and checking the judges."""

import random
import re
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from envs.testimony.world import Statement, question_at
from envs.types import Protocol, Question, Seat
from trainer.testimony.corpora import Debate
from trainer.testimony.prompts import as_judged, debater_opening, heard, turn
from trainer.testimony.vocabulary import END

SPEECH = re.compile(r"<quote> in the (\S+) (\S+) saw it </quote>")
SPEECH_TOKENS = 12
"""A quoted statement takes nine with its end mark."""


@torch.inference_mode()
def speak(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], sampler: torch.Generator
) -> list[str]:
    """Samples one continuation per prompt, up to the end mark, at temperature 1."""
    batch = tokenizer(list(prompts), return_tensors="pt", padding=True, return_token_type_ids=False)
    mask, step, cache = batch["attention_mask"], batch["input_ids"], None
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    written = []
    for _ in range(SPEECH_TOKENS):
        output = model(
            input_ids=step, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        step = torch.multinomial(output.logits[:, -1].softmax(-1), 1, generator=sampler)
        written.append(step)
        mask = torch.cat([mask, torch.ones_like(step)], dim=1)
        positions = positions[:, -1:] + 1
    return [text.split(END)[0].strip() for text in tokenizer.batch_decode(torch.cat(written, dim=1))]


def as_heard(sampled: str, passage: str) -> str:
    """A sampled speech as the environment passes it on; one that is no quotation loses its tags."""
    match = SPEECH.fullmatch(sampled)
    if match:
        return as_judged(Statement(match[1], match[2]), passage)
    return " ".join(word for word in sampled.split() if not word.startswith("<"))


def play(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[tuple[Question, int]],
    protocol: Protocol,
    seed: int,
) -> list[Debate]:
    """Plays every question once; which answer seat A defends is drawn at random."""
    rng, sampler = random.Random(f"seats {seed}"), torch.Generator().manual_seed(seed)
    debates = [
        Debate(question, correct, question.answers if rng.random() < 0.5 else question.answers[::-1], ())
        for question, correct in questions
    ]
    rows = {seat: [debater_opening(d.question, d.answers, seat) for d in debates] for seat in protocol.seats}
    for seats in protocol.plies():
        said = {}
        for seat in seats:
            prompts = [f"{row} {turn(seat)}" for row in rows[seat]]
            said[seat] = speak(model, tokenizer, prompts, sampler)
            rows[seat] = [f"{prompt} {text} {END}" for prompt, text in zip(prompts, said[seat], strict=True)]
        for seat, texts in said.items():
            judged = [as_heard(text, d.question.passage) for text, d in zip(texts, debates, strict=True)]
            debates = [
                Debate(d.question, d.correct, d.answers, (*d.speeches, (seat, text)))
                for d, text in zip(debates, judged, strict=True)
            ]
            if seat.other in rows:
                rows[seat.other] = [f"{row} {heard(seat, text)}" for row, text in zip(rows[seat.other], judged, strict=True)]
    return debates


def base_debates(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    protocol: Protocol,
    indices: range,
    seed: int,
    batch: int = 400,
) -> list[Debate]:
    """Debates on questions of the teaching split, played in batches; deterministic in all arguments."""
    debates: list[Debate] = []
    for start in range(indices.start, indices.stop, batch):
        chosen = range(start, min(start + batch, indices.stop))
        questions = [question_at("teaching", index, seed) for index in chosen]
        debates += play(model, tokenizer, questions, protocol, seed=start)
    return debates
