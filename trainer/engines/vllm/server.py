"""One vLLM model, as it runs in the child process that `process` starts; the only one in which vLLM computes."""

from collections.abc import Sequence
from importlib import import_module
from threading import RLock
from typing import Any

from rostrum.trainer.engines.vllm import variables  # noqa: F401

# isort: split
from tqdm import tqdm
from vllm import LLM, SamplingParams
from vllm.config import WeightTransferConfig
from vllm.inputs.engine import tokens_input
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.sampling_params import MAX_LOGPROB_TOKEN_IDS, RequestOutputKind

from rostrum.trainer.engines.base import FINISH
from rostrum.trainer.engines.vllm.served import Adapter, ServerSetup

tqdm.set_lock(RLock())  # vLLM's bars would make a lock between processes, which is left behind when this one ends

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Adapter ranks that vLLM makes room for."""
_CPU_BLOCK = 32
"""Tokens per block of the prefix cache; vLLM's own 128 on CPUs is longer than what many prompts share."""


Found = tuple[tuple[int, ...], tuple[float, ...], str]
"""What was sampled after a prompt: tokens, their log-probabilities at the sampling temperature, "stop" or "length"."""


class VllmServer:
    """Tokens in, tokens and log-probabilities out."""

    def __init__(self, setup: ServerSetup) -> None:
        self._llm = LLM(**arguments(setup))
        self._asleep = False
        self._streamed: set[str] = set()
        """Requests of `stream` that are under way."""
        self.max_context = int(self._llm.model_config.max_model_len)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        temperature: float,
        seeds: Sequence[int],
        ends: Sequence[int],
        adapter: Adapter | None,
    ) -> list[Found]:
        """Return what is sampled after each prompt."""
        sampling = [_sampled(max_tokens, temperature, seed, ends) for seed in seeds]
        return [_found(request) for request in self._run(prompts, sampling, adapter)]

    def stream(
        self,
        more: Sequence[tuple[int, list[int], int]],
        max_tokens: int,
        temperature: float,
        ends: Sequence[int],
        adapter: Adapter | None,
    ) -> list[tuple[int, Found]]:
        """Take more requests (id, prompt, seed) beside those under way; compute until some are completed, and return
        those."""
        self._wake()
        engine, lora = self._llm.llm_engine, _lora(adapter)
        for number, prompt, seed in sorted(more, key=lambda request: request[1]):
            sampling = _sampled(max_tokens, temperature, seed, ends)
            sampling.output_kind = RequestOutputKind.FINAL_ONLY
            engine.add_request(str(number), tokens_input(prompt), sampling, lora_request=lora)
            self._streamed.add(str(number))
        while self._streamed:
            if found := [output for output in engine.step() if output.finished]:
                self._streamed -= {output.request_id for output in found}
                return [(int(output.request_id), _found(output)) for output in found]
        return []

    def abort(self) -> None:
        """Drop the requests of `stream` that are under way."""
        self._llm.llm_engine.abort_request(sorted(self._streamed))
        self._streamed.clear()

    def next_logprobs(
        self, contexts: Sequence[Sequence[int]], tokens: Sequence[Sequence[int]], adapter: Adapter | None
    ) -> list[tuple[float, ...]]:
        """Return the log-probability, at temperature 1, of each of a context's `tokens` as the next one."""
        parts = [
            (list(context), list(wanted[start : start + MAX_LOGPROB_TOKEN_IDS]))
            for context, wanted in zip(contexts, tokens, strict=True)
            for start in range(0, len(wanted), MAX_LOGPROB_TOKEN_IDS)
        ]
        sampling = [
            SamplingParams(max_tokens=1, temperature=1.0, logprob_token_ids=ids, detokenize=False) for _, ids in parts
        ]
        requests = self._run([context for context, _ in parts], sampling, adapter)
        values = iter(
            request.outputs[0].logprobs[0][token].logprob
            for request, (_, ids) in zip(requests, parts, strict=True)
            for token in ids
        )
        return [tuple(next(values) for _ in wanted) for wanted in tokens]

    def reload(self, folder: str) -> None:
        """Take over the full weights of a model folder in place, and drop what was cached under the old ones."""
        self._wake()
        self._llm.collective_rpc("reload_weights", kwargs={"weights_path": folder})
        self._renew()

    def transfer(self, step: str, payload: Any) -> None:
        """Do one step of vLLM's weight transfer (a method of its workers)."""
        self._wake()
        self._llm.collective_rpc(step, args=() if payload is None else (payload,))
        if step == FINISH:
            self._renew()

    def sleep(self) -> None:
        """Move the weights to the CPU's memory and drop the cache, until the next call."""
        if not self._asleep:
            self._llm.sleep(level=1)
            self._asleep = True

    def drop(self, adapter: Adapter) -> None:
        """Free the place of an adapter."""
        self._wake()
        self._llm.llm_engine.remove_lora(adapter.number)

    def prefix_cache(self) -> tuple[int, int]:
        """Return the tokens looked up in the prefix cache so far, and those found there."""
        counters = {metric.name: int(getattr(metric, "value", 0)) for metric in self._llm.get_metrics()}
        return counters.get("vllm:prefix_cache_queries", 0), counters.get("vllm:prefix_cache_hits", 0)

    def _run(
        self, prompts: Sequence[Sequence[int]], sampling: Sequence[SamplingParams], adapter: Adapter | None
    ) -> Sequence[Any]:
        """Return what comes of the prompts, in their order. Those that begin alike are read one after the other, while
        the cache still has what they share."""
        self._wake()
        order = sorted(range(len(prompts)), key=lambda place: tuple(prompts[place]))
        requests: Any = [{"prompt_token_ids": list(prompts[place])} for place in order]
        how = [sampling[place] for place in order]
        outputs: Sequence[Any] = self._llm.generate(requests, how, use_tqdm=False, lora_request=_lora(adapter))
        of_place = dict(zip(order, outputs, strict=True))
        return [of_place[place] for place in range(len(prompts))]

    def _renew(self) -> None:
        """Drop what was made of the old weights."""
        self._llm.reset_prefix_cache()
        if current_platform.is_cpu():
            self._llm.apply_model(_pack_head)

    def _wake(self) -> None:
        if self._asleep:
            self._llm.wake_up()
            self._asleep = False


def _sampled(max_tokens: int, temperature: float, seed: int, ends: Sequence[int]) -> SamplingParams:
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        logprobs=0,
        stop_token_ids=list(ends),
        detokenize=False,
    )


def _found(request: Any) -> Found:
    """Return what was sampled for a request that is completed."""
    output = request.outputs[0]
    values = (step[token].logprob for token, step in zip(output.token_ids, output.logprobs, strict=True))
    return tuple(output.token_ids), tuple(values), str(output.finish_reason)


def _lora(adapter: Adapter | None) -> LoRARequest | None:
    return LoRARequest(adapter.name, adapter.number, adapter.path) if adapter else None


def arguments(setup: ServerSetup) -> dict[str, Any]:
    """Return what vLLM's `LLM` is made with."""
    on_cpu = current_platform.is_cpu()
    rank = next((rank for rank in _RANKS if rank >= setup.lora_rank), _RANKS[-1])
    lora = {"enable_lora": True, "max_loras": 2, "max_lora_rank": rank} if setup.lora_rank else {}
    transfer = {} if setup.weight_transfer == "disk" else {"weight_transfer_config": _transfer(setup)}
    return {
        "model": setup.model,
        "dtype": setup.dtype,
        "seed": 0,
        "max_num_seqs": setup.batch_size,
        "enforce_eager": on_cpu,
        "max_model_len": -1,  # the model's context, or as much of it as the cache has room for
        "gpu_memory_utilization": setup.gpu_memory_fraction,
        "block_size": _CPU_BLOCK if on_cpu else None,
        "enable_chunked_prefill": not on_cpu,  # 0.32 on CPUs cannot sample with a seed after a prompt read in parts
        "enable_prefix_caching": True,
        "logprobs_mode": "processed_logprobs",
        "disable_log_stats": False,
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        "load_format": "safetensors",
        "trust_remote_code": False,
        "tensor_parallel_size": setup.tensor_parallel,
        "quantization": setup.quantization,
        "enable_sleep_mode": setup.sleep and not on_cpu,  # which has no memory of its own to give back
        **lora,
        **transfer,
    }


def _pack_head(model: Any) -> None:
    """Pack the output matrix again: vLLM on CPUs multiplies with a packed copy of it. In 0.32 one that is tied to the
    embeddings is passed over when weights are loaded anew, and its copy stays the old one."""
    head = getattr(model, "lm_head", None)
    if head is not None:
        head.quant_method.process_weights_after_loading(head)


def _transfer(setup: ServerSetup) -> WeightTransferConfig:
    if setup.weight_transfer == "gloo":
        import_module("rostrum.trainer.engines.vllm.gloo")  # which makes vLLM know it
    return WeightTransferConfig(backend=setup.weight_transfer)
