"""A trained policy as a plain Hugging Face folder: adapters merged, with tokenizer and model card."""

from pathlib import Path
from typing import Any

import torch

from rostrum.envs.files import replacing_folder
from rostrum.trainer.config import Config
from rostrum.trainer.models import cards, loading, model_folders
from rostrum.trainer.policies import path_of
from rostrum.trainer.store.run_folder import RunError, RunFolder
from rostrum.trainer.weights.merging import merged

CARD = """
# {name}

A debater trained with Rostrum to win a judge's approval. It argues for the answer that it is given, whether or not that
answer is right: its speeches are advocacy, not information.

| | |
|---|---|
| base model | {base} |
| run | `{run}`, iteration {iteration} of {iterations}, seed {seed} |
| protocol | {protocol}, {rounds} rounds of at most {words} words |
| judge that gave the reward | {judge} (`{judge_model}`) |
| algorithm | {algorithm} |
| trained weights | {trained} |
| prompt set | `{prompts}` |

It is read by transformers 5, which wrote it, and by transformers 4.
"""


class ExportError(ValueError):
    """An export that cannot be made; the message says what to do."""


def export(settings: Config, iteration: int | None, output: Path) -> int:
    """Write the policy published after `iteration` updates (None: the last one there is), or a folder for each where
    there are several; return the iteration.

    Raises:
        RunError: the run has not published it.
        ExportError: the output folder has something in it.
        ModelError: the adapter cannot be merged into the same model.
    """
    chosen = _chosen(RunFolder(settings.output), iteration)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ExportError(f"{output} is not empty: choose another output=FOLDER.")
    published, names = RunFolder(settings.output).policy(chosen), settings.policies
    with replacing_folder(output) as folder:
        for name in names:
            _write(settings.of(name), name, chosen, path_of(published, name, names), path_of(folder, name, names))
    return chosen


def _write(settings: Config, policy: str, iteration: int, published: Path, folder: Path) -> None:
    model: Any = merged(loading.load_model(str(published))).to(getattr(torch, settings.debater.dtype))
    model.save_pretrained(folder)
    loading.load_tokenizer(str(published)).save_pretrained(folder)
    model_folders.finish(folder, _card(settings, policy, iteration))


def _chosen(folder: RunFolder, iteration: int | None) -> int:
    published = folder.published()
    if not published:
        raise RunError(f"The run {folder.path} has published no policy yet: train it first.")
    chosen = published[-1] if iteration is None else iteration
    if chosen not in published:
        raise RunError(f"The run {folder.path} kept no policy of iteration {chosen}: choose among {published}.")
    return chosen


def _card(settings: Config, policy: str, iteration: int) -> str:
    lora = settings.debater.lora
    base = settings.debater.model
    head = cards.front_matter(
        base, library_name="transformers", pipeline_tag="text-generation", tags=["debate", "rostrum"]
    )
    return head + CARD.format(
        name=f"{settings.output.name}, iteration {iteration}" + (f", {policy}" if settings.learners else ""),
        base=cards.in_words(base),
        run=settings.output.name,
        iteration=iteration,
        iterations=settings.iterations,
        seed=settings.seed,
        protocol=settings.protocol.name,
        rounds=settings.protocol.rounds,
        words=settings.protocol.max_words,
        judge=settings.judge.name,
        judge_model=", ".join(model.model for model in settings.judge.needs()),
        prompts=settings.debater.prompts,
        algorithm=settings.algorithm.title,
        trained=f"LoRA of rank {lora.rank}, merged" if lora else "all",
    )
