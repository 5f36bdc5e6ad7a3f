"""Who learns, plays and judges, and where (configs/cluster/)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rostrum.trainer.section import RunView, Section, SectionError


class Resources(Section):
    """Ray's custom resources that each role asks for, to pin it to nodes that were started with them."""

    learner: dict[str, Annotated[float, Field(ge=0)]] = {}
    rollout: dict[str, Annotated[float, Field(ge=0)]] = {}
    judge: dict[str, Annotated[float, Field(ge=0)]] = {}


class Cluster(Section):
    """Who plays, who judges and who learns (configs/cluster/)."""

    address: str | None = None
    """Ray cluster to join, e.g. "auto"; none starts one here if a role needs it."""
    learners: int = Field(0, ge=0)
    """Ray actors that learn together, one rank each; 0 learns in this process (or in torchrun's). With DeepSpeed and
    several policies so many learn each policy."""
    gpus_per_learner: float | None = Field(None, ge=0)
    """None: one where the cluster has GPUs, else none."""
    rollout_workers: int = Field(0, ge=0)
    """Ray actors that play debates; 0 plays in the process of the first learner."""
    gpus_per_worker: float = Field(0, ge=0)
    judge_workers: int = Field(0, ge=0)
    """Ray actors that each hold a copy of a judge; 0 judges in the process of the first learner."""
    gpus_per_judge: float = Field(0, ge=0)
    judge_timeout: float | None = Field(1800, gt=0)
    """Seconds that a judge's actor may take over one batch, once it has started; null waits for ever."""
    resources: Resources = Resources()
    shard_size: int = Field(64, ge=1)
    """Debates that one worker plays together. Part of the seed scheme: changing it changes the sampled debates."""
    sleep: bool = False
    """Engines of vLLM move to the CPU's memory while the learner works, for one GPU that serves them all."""
    weight_transfer: Literal["auto", "disk", "nccl", "gloo"] = "auto"
    """How engines of vLLM get new full weights: from the published folder, or from the learner's memory over NCCL
    (every engine on a GPU of its own) or gloo; auto: nccl where it can be had. Adapters come from their folders."""
    deepspeed: Literal["zero2", "zero3"] | None = None
    offload: Literal["none", "optimizer", "all"] = "none"
    """What DeepSpeed keeps in the memory of the CPU: the optimizer's state, or (zero3) the parameters as well."""

    def check(self, run: RunView) -> None:
        """Ask for a GPU, DeepSpeed and several processes, where they are asked for.

        Raises:
            SectionError: one of them is not there.
            MachineError: DeepSpeed's operators cannot be compiled.
        """
        for key in ("gpus_per_learner", "gpus_per_worker", "gpus_per_judge"):
            if getattr(self, key) and self.address is None and not run.machine.has_gpu:
                raise SectionError(
                    f"cluster.{key} asks for a GPU and this machine has none: set it to 0, or join a cluster that has "
                    "some with cluster.address."
                )
        if self.learners and run.machine.under_torchrun:
            raise SectionError(
                "cluster.learners starts the ranks itself: leave torchrun out, or set cluster.learners=0."
            )
        if self.deepspeed is None:
            return
        if not run.machine.has_deepspeed:
            raise SectionError("cluster.deepspeed needs DeepSpeed, which runs on Linux only: choose cluster=local.")
        run.machine.check_build(self.offload)
        if not self.learners and not run.machine.under_torchrun and not run.config.learners:
            raise SectionError(
                f"cluster.deepspeed={self.deepspeed} needs one process per device: set cluster.learners=N, or start it "
                "with `torchrun --nproc-per-node=N -m rostrum train ...`."
            )

    @property
    def gpus_apart(self) -> bool:
        """Whether each rollout worker, and the first learner, has a GPU to itself."""
        alone = self.gpus_per_learner is None or self.gpus_per_learner >= 1
        return alone and self.rollout_workers > 0 and self.gpus_per_worker >= 1

    @model_validator(mode="after")
    def _nccl_needs_gpus(self) -> "Cluster":
        if self.weight_transfer == "nccl" and not self.gpus_apart:
            raise ValueError(
                "cluster.weight_transfer=nccl needs rollout workers and learners with a GPU of their own each: set "
                "cluster.rollout_workers and cluster.gpus_per_worker to at least 1, or take gloo or disk"
            )
        return self

    @model_validator(mode="after")
    def _offload_has_a_stage(self) -> "Cluster":
        if self.offload != "none" and self.deepspeed is None:
            raise ValueError(f"cluster.offload={self.offload} is DeepSpeed's: set cluster.deepspeed to zero2 or zero3")
        if self.offload == "all" and self.deepspeed != "zero3":
            raise ValueError("cluster.offload=all moves parameters, so it needs cluster.deepspeed=zero3")
        return self
