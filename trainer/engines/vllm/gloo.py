"""A transport of vLLM's weight-transfer API that needs no GPU: gloo, between processes and nodes.

vLLM's own transports are NCCL's, which wants a GPU to itself in every process, and CUDA's shared memory. This one
serves CPUs, and GPUs that several processes share. The protocol round it is vLLM's own.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Self

from rostrum.trainer.engines.vllm import variables  # noqa: F401

# isort: split
import torch
from torch.distributed import ProcessGroup
from vllm.distributed.utils import stateless_init_torch_distributed_process_group
from vllm.distributed.weight_transfer.base import ParamMeta, VLLMWeightSyncClient, WeightSource
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory, WeightTransferTrainerFactory
from vllm.distributed.weight_transfer.nccl_common import NCCLWeightTransferInitInfo
from vllm.distributed.weight_transfer.nccl_engine import (
    NCCLTrainerInitInfo,
    NCCLTrainerWeightTransferEngine,
    NCCLWeightTransferEngine,
    NCCLWeightTransferUpdateInfo,
)

NAME = "gloo"
_PATIENCE = timedelta(minutes=30)
"""How long the processes wait for one another."""


@dataclass
class GlooTrainerInitInfo(NCCLTrainerInitInfo):
    """Where the group meets, and how many are in it: the sender and every engine."""

    backend: ClassVar[str] = NAME


class GlooWeightTransferEngine(NCCLWeightTransferEngine):
    """The receiving side, inside a vLLM worker."""

    _group: ProcessGroup | None = None

    def init_transfer_engine(self, init_info: NCCLWeightTransferInitInfo) -> None:
        """Join the group; every engine is given a rank of its own."""
        assert init_info.master_address is not None and init_info.master_port is not None
        self._group = _join(
            init_info.master_address, init_info.master_port, init_info.rank_offset, init_info.world_size
        )

    def update_weights(self, update_info: dict[str, Any]) -> None:
        """Take one tensor after another over. (vLLM's own waits for an accelerator here.)"""
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: NCCLWeightTransferUpdateInfo) -> None:
        """Put each tensor into the model as it comes."""
        assert self._group is not None, "init_transfer_engine comes first"
        for name, dtype, shape in zip(update_info.names, update_info.dtype_names, update_info.shapes, strict=True):
            weight = torch.empty(shape, dtype=getattr(torch, dtype))
            self._group.broadcast(_bytes(weight), 0).wait()
            self.model.load_weights([(name, weight.to(self.device))])

    def shutdown(self) -> None:
        """Leave the group."""
        self._group = None


class GlooTrainerWeightTransferEngine(NCCLTrainerWeightTransferEngine):
    """The sending side, in the learner."""

    _group: ProcessGroup | None = None

    @classmethod
    def trainer_init(
        cls, init_info: NCCLTrainerInitInfo, *, client: VLLMWeightSyncClient, source: WeightSource | None = None
    ) -> Self:
        """Open the group and wait until every engine has joined it."""
        assert source is not None
        engine = cls(client=client, source=source, packed=False)
        address, port, world = init_info.master_address, init_info.master_port, init_info.world_size
        theirs = {"master_address": address, "master_port": port, "rank_offset": 1, "world_size": world}
        with ThreadPoolExecutor(max_workers=1) as aside:  # they wait for us, and we for them
            joining = aside.submit(client.init_weight_transfer_engine, theirs)
            engine._group = _join(address, port, 0, world)
            joining.result()
        return engine

    def _broadcast(self, source: WeightSource, meta: list[ParamMeta]) -> None:
        assert self._group is not None
        for _, tensor in self._checked_iter(source, meta):
            self._group.broadcast(_bytes(tensor.contiguous()), 0).wait()

    def shutdown(self) -> None:
        """Leave the group, which ends the wait of whoever still listens."""
        self._group = None


def _join(address: str, port: int, rank: int, size: int) -> ProcessGroup:
    group: ProcessGroup = stateless_init_torch_distributed_process_group(
        address, port, rank, size, NAME, timeout=_PATIENCE
    )
    return group


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """Return the same memory as bytes: gloo need not know the dtype."""
    return tensor.view(-1).view(torch.uint8)


WeightTransferEngineFactory.register_engine(NAME, GlooWeightTransferEngine)
WeightTransferTrainerFactory.register_engine(NAME, GlooTrainerWeightTransferEngine)
