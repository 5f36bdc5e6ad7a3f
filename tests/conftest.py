"""Shared by all tests: quiet single-threaded libraries, a tiny debater and judge, and fakes of both without a model."""

import math
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
os.environ.update(
    OMP_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TRL_EXPERIMENTAL_SILENCE="1",
    TOKENIZERS_PARALLELISM="false",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    RAY_worker_niceness="0",
)
if os.environ.get("ROSTRUM_TEST_ON") != "gpu":  # benchmarks/on_gpu.sh runs a part of them there
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))  # for subprocesses
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from rostrum.envs.testimony.world import TestimonyWorld  # noqa: E402
from rostrum.envs.types import Question, Side, Transcript  # noqa: E402
from rostrum.rewards.types import Cause, Usage, Verdict  # noqa: E402
from rostrum.trainer.config import Config  # noqa: E402
from rostrum.trainer.engines.base import Completion, Sampling  # noqa: E402
from rostrum.trainer.types import Policy  # noqa: E402

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

settings.register_profile("rostrum", deadline=None, derandomize=True)  # no test depends on the speed of the machine
settings.load_profile("rostrum")
SMALL = (
    "questions.train=12",
    "questions.heldout=2",
    "judge.min_mass=0",
    "save_every=1",
    "algorithm.questions_per_iteration=2",
    "heldout_judges=none",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first: of two processes, neither is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def quiet_libraries() -> None:
    import datasets
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()


@pytest.fixture(scope="module", autouse=True)
def no_ray_left() -> Iterator[None]:
    """Commands leave their Ray to the end of their process, which for tests is not the end."""
    yield
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        from rostrum.trainer.cluster import cluster

        cluster.leave()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small Llamas that read the testimony vocabulary: `debater` says a few random words and stops;
    `judge` is random."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from rostrum.trainer.testimony_models.vocabulary import build_tokenizer

    folder, tokenizer = tmp_path_factory.mktemp("tiny"), build_tokenizer()
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=False,
        initializer_range=0.2,
    )
    for seed, name in enumerate(("debater", "judge")):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(shape)
        if name == "debater":
            _teach_to_stop(model, tokenizer)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


def _teach_to_stop(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", steps: int = 60) -> None:
    """Speeches of one to four random places, in debates of random text."""
    import torch

    from rostrum.envs.testimony.world import PLACES

    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)[3:]
    draw, optimizer = random.Random(0), torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(steps):
        lines = []
        for _ in range(16):
            speech = " ".join(draw.choices(PLACES, k=draw.randint(1, 4)))
            noise = " ".join(draw.choices(words, k=draw.randint(0, 30)))
            lines.append(f"{noise} argue A : {draw.choice(PLACES)} {draw.choice('AB')} says : {speech} <eos>")
        batch = tokenizer(lines, return_tensors="pt", padding=True)
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.fixture
def configure(tiny: Path, tmp_path: Path) -> Callable[..., Config]:
    """Makes the configuration of a small run from Hydra overrides; later ones win."""
    from rostrum.launch.compose import load

    def make(*overrides: str) -> Config:
        groups = [
            o for o in overrides if o.partition("=")[0] in ("algorithm", "protocol", "cluster", "reward", "questions")
        ]
        rest = [o for o in overrides if o not in groups]
        models = (
            f"debater.model={tiny}/debater",
            f"judge.model={tiny}/judge",
            f"output={tmp_path}/run",
            "iterations=1",
        )
        small = (
            SMALL
            if "algorithm=dpo" in groups
            else (*SMALL, "algorithm.debates_per_seating=2", "algorithm.minibatches=1")
        )
        return load([*groups, *models, *small, *rest])

    return make


@pytest.fixture(scope="session")
def questions() -> Sequence[Question]:
    """Four questions of the testimony world."""
    return TestimonyWorld(train=4, heldout=0).questions("train")


class ScriptedEngine:
    """An engine without a model: every speech is what `script` makes of the context's text. One word is one token."""

    def __init__(self, script: Callable[[str], str], max_context: int = 10_000) -> None:
        self.script, self.max_context = script, max_context
        self.contexts: list[str] = []
        self.seeds: list[int] = []
        self._words: list[str] = []
        self.format = self
        self.keeps_prefix = True

    def load(self, policy: Policy) -> None:
        """There is nothing to load."""

    def open(self, history: Sequence[str]) -> list[int]:
        return self.choice(" ".join(["<begin>", *history]))

    def go_on(self, told: str, ended: bool) -> list[int]:
        return self.choice(told)

    def count(self, text: str) -> int:
        return len(text.split())

    def choice(self, text: str) -> list[int]:
        words = text.split()
        self._words += [word for word in dict.fromkeys(words) if word not in self._words]
        return [self._words.index(word) for word in words]

    def decode(self, token_ids: Sequence[int]) -> str:
        return " ".join(self._words[token] for token in token_ids if self._words[token] not in ("<begin>", "<end>"))

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        texts = [self.decode(prompt) for prompt in prompts]
        self.contexts += texts
        self.seeds.append(sampling.seed)
        spoken = [self.choice(f"{self.script(text)} <end>") for text in texts]
        return [Completion(tuple(ids), (-0.5,) * len(ids), "stop") for ids in spoken]

    def logprobs(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        return [(-0.5,) * (len(row) - 1) for row in rows]

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        return [(-1.0,) * len(alternatives) for alternatives in choices]


@pytest.fixture
def scripted_engine() -> Callable[..., ScriptedEngine]:
    """Makes a debater that speaks by a script."""
    return ScriptedEngine


class PlantedJudge:
    """A judge that is easily won: one nat of log-odds for every "attic" more than the other side says.

    The verdict on every `invalid_every`-th transcript is INVALID, by `cause`; with `says`, that is every verdict.
    """

    name, usage = "planted", Usage()

    def __init__(self, invalid_every: int = 0, cause: Cause = "failure", says: Verdict | None = None) -> None:
        self.invalid_every, self.cause, self.says, self.read = invalid_every, cause, says, 0

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        if self.says is not None:
            return self.says
        self.read += 1
        if self.invalid_every and self.read % self.invalid_every == 0:
            return Verdict(self.name, None, None, valid=False, reason="planted", cause=self.cause)
        said = [(1 if s.side is Side.A else -1) * s.raw.split().count("attic") for s in transcript.speeches]
        p = 1 / (1 + math.exp(-sum(said)))
        return Verdict(self.name, p, p)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., PlantedJudge]:
    """Puts a planted judge in the place of the configured one."""

    def put(invalid_every: int = 0, cause: Cause = "failure", says: Verdict | None = None) -> PlantedJudge:
        judge = PlantedJudge(invalid_every, cause, says)
        monkeypatch.setattr("rostrum.trainer.setup.judge", lambda *settings: judge)
        return judge

    return put
