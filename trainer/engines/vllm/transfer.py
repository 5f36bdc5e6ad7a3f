"""Full weights from the learner's memory into every vLLM engine at once, by vLLM's weight-transfer API.

The engines form a group with the learner, which is formed anew when one of them is another one than before. If a
transfer fails, its engines are dropped: those that take their place read the published folder, as does every engine
that starts. Imported where weights are transferred only, as vLLM changes torch and transformers a little.
"""

from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any

from rostrum.trainer.engines.vllm import variables  # noqa: F401

# isort: split
import torch
from vllm.distributed.weight_transfer.base import ParamMeta, WeightSource, WeightTransferUpdatePayload
from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory
from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo
from vllm.utils.network_utils import get_open_port

from rostrum.trainer.engines.base import FINISH, Receivers
from rostrum.trainer.engines.errors import TransferError
from rostrum.trainer.engines.vllm.gloo import NAME as GLOO
from rostrum.trainer.engines.vllm.gloo import GlooTrainerInitInfo
from rostrum.trainer.models.loading import default_device
from rostrum.trainer.progress import say
from rostrum.trainer.types import Policy


class WeightSender:
    """Sends published weights over "nccl" or "gloo"; the first of the learner's ranks has one."""

    def __init__(self, workers: Receivers, transport: str, address: str) -> None:
        self._workers, self._transport, self._address = workers, transport, address
        self._receivers = _Receivers(workers)
        self._weights = _Weights("cpu" if transport == GLOO else default_device())
        self._engines: list[str] = []
        self._sender: Any = None

    def send(self, policy: Policy, weights: Mapping[str, torch.Tensor]) -> None:
        """Let all engines serve these weights, which lie in the policy's folder too, under the same names.

        Raises:
            TransferError: the learner and the engines do not find each other.
        """
        self._receivers.policy, self._weights.tensors = policy, weights
        engines = self._workers.receivers(policy)
        if engines != self._engines:
            self._meet(engines)
        try:
            self._sender.send_weights()
        except RuntimeError as error:
            self._part()
            self._receivers.let_go()
            say(f"the weights did not reach every engine ({_first_line(error)}): their places are taken by new ones")
        finally:
            self._weights.tensors = {}

    def _meet(self, engines: list[str]) -> None:
        self._part()
        kind = GlooTrainerInitInfo if self._transport == GLOO else NCCLTrainerInitInfo
        place = kind(self._address, get_open_port(), len(engines) + 1, rank=0)
        try:
            self._sender = WeightTransferTrainerFactory.trainer_init(
                place, client=self._receivers, source=self._weights
            )
        except RuntimeError as error:
            raise TransferError(
                f"The learner and its {len(engines)} engines do not find each other over {self._transport} "
                f"({_first_line(error)}): see that the nodes reach {self._address}, or set "
                "cluster.weight_transfer=disk."
            ) from error
        self._engines = engines

    def _part(self) -> None:
        if self._sender is not None:
            self._sender.shutdown()
        self._sender, self._engines = None, []


class _Receivers:
    """vLLM's `VLLMWeightSyncClient`: what its sender asks of the receiving side, passed on to every engine."""

    def __init__(self, workers: Receivers) -> None:
        self._workers = workers
        self._asking = Lock()
        """vLLM's sender asks from a thread of its own, and does not wait for it when the sending fails."""
        self.policy = Policy("", 0, "")

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """Give each engine its rank: it is the only worker of a vLLM of its own, so the ranks are given out here."""
        first = init_info["rank_offset"]
        self._ask("init_weight_transfer_engine", lambda index: {**init_info, "rank_offset": first + index})

    def start_weight_update(self) -> None:
        self._ask("start_weight_update")

    def update_weights(self, update_info: WeightTransferUpdatePayload) -> None:
        self._ask("update_weights", lambda _: update_info)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        self._ask(FINISH)

    def let_go(self) -> None:
        """End the engines; those that take their place read the folder."""
        with self._asking:
            self._workers.let_go(self.policy)

    def _ask(self, step: str, payload: Callable[[int], Any] = lambda _: None) -> None:
        with self._asking:
            self._workers.transfer(self.policy, step, payload)


class _Weights(WeightSource):
    """The tensors of one round, from the device that the transport takes them from."""

    def __init__(self, device: str) -> None:
        self._device = device
        self.tensors: Mapping[str, torch.Tensor] = {}

    def metadata(self) -> list[ParamMeta]:
        return [ParamMeta(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in self.tensors.items()]

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, tensor in self.tensors.items():
            yield name, tensor.detach().to(self._device)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
