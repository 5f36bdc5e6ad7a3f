"""An engine without a framework: Llamas in numpy, a row at a time."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import load_file

from rostrum.trainer.engines.base import Completion, EngineSettings, Sampling, check_room
from rostrum.trainer.engines.errors import EngineError
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.engines.texts import TextEngine
from rostrum.trainer.models import loading
from rostrum.trainer.types import Policy

Floats = NDArray[np.float32]
NEVER = np.float32(-1e30)


class Settings(EngineSettings):
    """Llamas in numpy, in the process that plays or judges: slow, and short enough to be read."""

    engine = "rostrum_plugin_example.numpy_engine:NumpyEngine"
    serves_adapters = True

    name: Literal["numpy"] = "numpy"
    top: int | None = Field(None, ge=1)
    """Sample among so many likeliest tokens alone; none: among all, as the learner takes for granted."""


class NumpyEngine(TextEngine):
    """Generates and scores with one Llama, or with one and a LoRA adapter merged into it."""

    def __init__(self, model: str, settings: EngineSettings) -> None:
        assert isinstance(settings, Settings)
        self._top, tokenizer = settings.top, loading.load_tokenizer(model)
        self._ends = loading.end_tokens(model, tokenizer)
        self.format = make_format(tokenizer, self._ends, settings.format, settings.thinking)
        self._llama = Llama(model)

    def load(self, policy: Policy) -> None:
        self._llama = Llama(policy.path)

    @property
    def max_context(self) -> int:
        return int(self._llama.config["max_position_embeddings"])

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        check_room(prompts, sampling, self.max_context)
        return [self._speak(prompt, sampling, place) for place, prompt in enumerate(prompts)]

    def _speak(self, prompt: Sequence[int], sampling: Sampling, place: int) -> Completion:
        draw, row, found = np.random.default_rng([sampling.seed, place]), list(prompt), list[float]()
        while len(found) < sampling.max_tokens:
            logits = self._llama.logits(row)[-1]
            if sampling.temperature > 0:
                logprobs = log_softmax(self._likeliest(logits / np.float32(sampling.temperature)))
                p = np.exp(logprobs.astype(np.float64))
                token = int(draw.choice(len(p), p=p / p.sum()))
            else:
                logprobs = log_softmax(logits / np.float32(1e-6))
                token = int(logits.argmax())
            row.append(token)
            found.append(float(logprobs[token]))
            if token in self._ends:
                return Completion(tuple(row[len(prompt) :]), tuple(found), "stop")
        return Completion(tuple(row[len(prompt) :]), tuple(found), "length")

    def _likeliest(self, logits: Floats) -> Floats:
        if self._top is None or self._top >= len(logits):
            return logits
        return np.where(logits >= np.partition(logits, -self._top)[-self._top], logits, NEVER)

    def logprobs(self, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        """Return the log-probability of every token of each row but the first, given those before it."""
        return [self._score(row[:1], row[1:]) for row in rows]

    def score(self, wanted: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[float]:
        room = self.max_context
        return [sum(self._score(a, b)) if len(a) + len(b) - 1 <= room else math.nan for a, b in wanted]

    def _score(self, context: Sequence[int], tokens: Sequence[int]) -> tuple[float, ...]:
        if not tokens:
            return ()
        logprobs = log_softmax(self._llama.logits([*context, *tokens[:-1]])[len(context) - 1 :])
        return tuple(float(row[token]) for row, token in zip(logprobs, tokens, strict=True))


class Llama:
    """The weights of a Llama and its forward pass (Touvron et al. 2023) in float32."""

    def __init__(self, model: str) -> None:
        folder, base = Path(loading.resolve(model)), Path(loading.resolve_base(model))
        self.config: Mapping[str, Any] = json.loads((base / "config.json").read_text("utf-8"))
        if self.config["architectures"] != ["LlamaForCausalLM"] or _rope(self.config)["rope_type"] != "default":
            raise EngineError(f"engine=numpy reads plain Llamas, and {model} is none: choose engine=transformers.")
        self._weights = dict[str, Floats]()
        for path in base.glob("*.safetensors"):
            self._weights |= {name: tensor.float().numpy() for name, tensor in load_file(path).items()}
        if folder != base:
            self._merge(folder)

    def _merge(self, adapter: Path) -> None:
        """Add a LoRA adapter's B A alpha / r to the matrices that it is for (Hu et al. 2021)."""
        settings = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        parts = {
            name: tensor.float().numpy() for name, tensor in load_file(adapter / "adapter_model.safetensors").items()
        }
        for name, a in parts.items():
            if name.endswith(".lora_A.weight"):
                whole = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
                b = parts[name.replace(".lora_A.", ".lora_B.")]
                self._weights[whole] = self._weights[whole] + b @ a * np.float32(settings["lora_alpha"] / settings["r"])

    def logits(self, row: Sequence[int]) -> Floats:
        """Return (T, V) logits of the token after each of T tokens."""
        x = self._weights["model.embed_tokens.weight"][list(row)]
        for number in range(self.config["num_hidden_layers"]):
            layer = f"model.layers.{number}"
            x = x + self._attention(f"{layer}.self_attn", self._norm(f"{layer}.input_layernorm", x))
            x = x + self._mlp(f"{layer}.mlp", self._norm(f"{layer}.post_attention_layernorm", x))
        tied = "lm_head.weight" not in self._weights
        return self._linear("model.embed_tokens" if tied else "lm_head", self._norm("model.norm", x))

    def _attention(self, name: str, x: Floats) -> Floats:
        """Return (T, E): causal attention with rotary positions; heads may share keys and values."""
        heads, length = self.config["num_attention_heads"], len(x)
        q, k, v = (self._linear(f"{name}.{part}_proj", x) for part in "qkv")
        width = q.shape[1] // heads
        q, k, v = (part.reshape(length, -1, width).transpose(1, 0, 2) for part in (q, k, v))
        q, k = self._rotated(q), self._rotated(k)
        k, v = (part.repeat(heads // len(part), axis=0) for part in (k, v))
        scores = q @ k.transpose(0, 2, 1) / np.float32(math.sqrt(width))
        seen = np.where(np.tri(length, dtype=bool), scores, NEVER)
        mixed = np.exp(log_softmax(seen)) @ v
        return self._linear(f"{name}.o_proj", mixed.transpose(1, 0, 2).reshape(length, -1))

    def _rotated(self, x: Floats) -> Floats:
        """Return (H, T, D) with each pair of dimensions turned by its token's position (Su et al. 2021)."""
        half = x.shape[2] // 2
        pace = 1 / _rope(self.config)["rope_theta"] ** (np.arange(half) / half)
        angles = np.arange(x.shape[1])[:, None] * pace
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        first, second = x[..., :half], x[..., half:]
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    def _mlp(self, name: str, x: Floats) -> Floats:
        gate = self._linear(f"{name}.gate_proj", x)
        return self._linear(f"{name}.down_proj", gate / (1 + np.exp(-gate)) * self._linear(f"{name}.up_proj", x))

    def _norm(self, name: str, x: Floats) -> Floats:
        scale = np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(self.config["rms_norm_eps"]))
        return x / scale * self._weights[f"{name}.weight"]

    def _linear(self, name: str, x: Floats) -> Floats:
        return x @ self._weights[f"{name}.weight"].T + self._weights.get(f"{name}.bias", np.float32(0))


def log_softmax(x: Floats) -> Floats:
    """Return the log-probabilities along the last axis."""
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return type and base of the rotary positions, wherever this version of transformers wrote them."""
    found = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 1e4)}
    return {"rope_type": "default", **found}
