"""From the configuration to the objects of a run: question set, judges, workers."""

from datetime import timedelta
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import torch
from accelerate import PartialState

from rostrum.rewards.endpoint.config import Endpoint
from rostrum.rewards.judges import JudgeSettings, ModelSettings
from rostrum.rewards.judges.per_side import PerSide
from rostrum.rewards.types import Classifier, Scorer
from rostrum.trainer import config
from rostrum.trainer.engines import (
    EngineError,
    EngineSettings,
    engine_settings,
    make_classifier,
    make_engine,
    settings_by_name,
)
from rostrum.trainer.engines.formats import Format, make_format
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.decoding.decoding_setup import DecodingSetup, decoding_setup
from rostrum.trainer.rollouts.local import LocalRolloutWorkers, PlaySetup, RolloutWorkers, Send

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel

    from rostrum.rewards.endpoint.scorer import EndpointScorer

PATIENCE = timedelta(days=7)
"""How long a rank waits for the others; torch's ten or thirty minutes are shorter than some iterations."""


def judge(settings: JudgeSettings, run: config.Config | None = None) -> PerSide:
    """Return a frozen judge on engines of its own, or on Ray if that is where the run's judges are.

    It reads debaters apart where the protocol of a debate says so.
    """
    return PerSide(settings.make(JudgeModels(run)))


class JudgeModels:
    """Gives judges their models: engines in this process, or actors on Ray if the run has `judge_workers`."""

    def __init__(self, run: config.Config | None = None) -> None:
        self._run = run

    def scorer(self, settings: ModelSettings) -> Scorer:
        """Return a frozen language model. One behind an endpoint is asked from this process, wherever the others
        are."""
        if settings.endpoint is not None:
            return endpoint_scorer(settings, settings.endpoint, self._run)
        cluster = self._cluster()
        if cluster is None:
            return make_engine(settings.model, judge_engine(settings, self._sleeps()))
        from rostrum.trainer.cluster.judges import RayScorer

        return RayScorer(settings.model, judge_engine(settings, self._sleeps()), cluster)

    def classifier(self, settings: ModelSettings) -> Classifier:
        """Return a frozen model with a classification or reward head."""
        cluster = self._cluster()
        if cluster is None:
            return make_classifier(settings.model, judge_engine(settings))
        from rostrum.trainer.cluster.judges import RayClassifier

        return RayClassifier(settings.model, judge_engine(settings), cluster)

    def _sleeps(self) -> bool:
        return self._run is not None and self._run.cluster.sleep

    def _cluster(self) -> config.Cluster | None:
        """Return where the run's judges are, joined; None if they are in this process."""
        if self._run is None or self._run.cluster.judge_workers == 0:
            return None
        from rostrum.trainer.cluster import cluster as ray_cluster

        ray_cluster.connect(self._run)
        return self._run.cluster


def judge_engine(settings: ModelSettings, sleep: bool = False) -> EngineSettings:
    """Return how a judge's model is run."""
    return engine_settings(
        settings.engine,
        settings.engine_options,
        batch_size=settings.batch_size,
        dtype=settings.dtype,
        format=settings.format,
        gpu_memory_fraction=settings.gpu_memory_fraction,
        sleep=sleep,
        tensor_parallel=settings.tensor_parallel,
        quantization=settings.quantization,
    )


def endpoint_scorer(settings: ModelSettings, endpoint: Endpoint, run: config.Config | None = None) -> "EndpointScorer":
    """Return a model behind an endpoint. What it costs a run is counted in the run's folder; without a run, in
    memory."""
    from rostrum.rewards.endpoint.scorer import LEDGER, EndpointScorer
    from rostrum.trainer.progress import say

    ledger = None if run is None else run.output / LEDGER
    return EndpointScorer(endpoint, settings.model, settings.name, ledger, say)


def debater_engine(settings: config.Config) -> EngineSettings:
    """Return how the debater's model is run."""
    debater = settings.debater
    return engine_settings(
        debater.engine,
        debater.engine_options,
        batch_size=debater.batch_size,
        dtype=debater.dtype,
        format=debater.format,
        thinking=settings.protocol.scratchpad,
        gpu_memory_fraction=debater.gpu_memory_fraction,
        sleep=settings.cluster.sleep,
        weight_transfer=weight_transfer(settings),
    )


def weight_transfer(settings: config.Config) -> str:
    """Return how engines get new weights: from the "disk", or over one of their transports."""
    cluster, debater = settings.cluster, settings.debater
    if cluster.weight_transfer != "auto":
        return cluster.weight_transfer
    over_nccl = "nccl" in settings_by_name()[debater.engine].transports and debater.lora is None
    return "nccl" if over_nccl and cluster.gpus_apart and not settings.learners else "disk"


def sender(settings: config.Config, played: RolloutWorkers) -> Send | None:
    """Return what brings new weights to the engines from the learner's memory; none where they read the folders."""
    transport, made = weight_transfer(settings), settings_by_name()[settings.debater.engine].sender
    if transport == "disk" or made is None:
        return None
    address = "127.0.0.1"
    if settings.cluster.rollout_workers:
        from ray.util import get_node_ip_address

        address = get_node_ip_address()
    send: Send = resolve_name(made)(played, transport, address).send
    return send


def play_setup(settings: config.Config) -> PlaySetup:
    """Return how a run's debates are played."""
    debater = settings.debater
    return PlaySetup(
        settings.protocol,
        debater.prompts,
        debater.max_tokens,
        debater.temperature,
        debater_engine(settings),
        row_per_speech(settings),
        debater.window,
        decoding(settings),
    )


def rollout_workers(settings: config.Config, played: PlaySetup | None = None) -> RolloutWorkers:
    """Return where debates are played, as the run's are if nothing else is said: here, or on Ray."""
    setup, cluster = played or play_setup(settings), settings.cluster
    if cluster.rollout_workers == 0:
        return LocalRolloutWorkers(setup)
    from rostrum.trainer.cluster import cluster as ray_cluster
    from rostrum.trainer.cluster.workers import RayRolloutWorkers

    ray_cluster.connect(settings)
    return RayRolloutWorkers(setup, cluster)


def decoding(settings: config.Config) -> DecodingSetup:
    """Return how debaters sample their speeches and who asks between the rounds. Judges that are needed for it are
    loaded in each process that plays, wherever those are that give verdicts."""
    cluster = settings.cluster.model_copy(update={"judge_workers": 0})
    judging = JudgeModels(settings.model_copy(update={"cluster": cluster}))
    return decoding_setup(settings.decoding, settings.protocol, settings.debater.prompts, settings.judge, judging)


def debater_format(settings: config.Config) -> Format:
    """Return how the debater's conversations become tokens."""
    tokenizer = loading.load_tokenizer(settings.debater.model)
    ends = loading.end_tokens(settings.debater.model, tokenizer)
    return make_format(tokenizer, ends, settings.debater.format, settings.protocol.scratchpad)


def judge_format(settings: ModelSettings) -> Format:
    """Return how a judge's prompts become tokens. Its model is not behind an endpoint.

    Raises:
        EngineError: the chat template loses a part of them.
    """
    speaks = not settings.has_head
    tokenizer = loading.load_tokenizer(settings.model, speaks)
    ends = loading.end_tokens(settings.model, tokenizer) if speaks else ()
    return make_format(tokenizer, ends, settings.format, speaks=speaks)


def row_per_speech(settings: config.Config) -> bool:
    """Return whether each speech is a row of its own (True) or all speeches of a speaker are one.

    Raises:
        EngineError: one row per speaker is asked for and the chat template changes what came before.
    """
    wanted, keeps_prefix = settings.debater.rows, debater_format(settings).keeps_prefix
    if wanted == "speaker" and not keeps_prefix:
        raise EngineError(
            "debater.rows=speaker cannot be had: this model's chat template changes earlier turns, so a speaker's "
            "speeches have no common context: use debater.rows=speech, or auto."
        )
    return wanted == "speech" or not keeps_prefix


def rows_in_words(settings: config.Config) -> str:
    """Return what a speaker's rows are and why, for the log."""
    if not row_per_speech(settings):
        return "rows: all speeches of a speaker in one, since its context only grows"
    if settings.debater.rows == "speech":
        return "rows: one per speech, as debater.rows asks"
    return "rows: one per speech, since this model's chat template changes earlier turns"


def rows_per_debate(settings: config.Config, policy: str | None = None) -> int:
    """Return how many rows the speakers of a debate give together, or those of one policy."""
    speakers = settings.protocol.speakers
    own = [name for name, speaker in speakers.items() if policy in (None, speaker.policy)]
    if row_per_speech(settings):
        return sum(name in own for turn in settings.protocol.order() for name in turn)
    return len(own)


def rows_per_iteration(settings: config.Config, policy: str | None = None) -> int:
    """Return how many rows an iteration has for the learner of a policy, or for the only one there is: both seatings of
    each question, and every speaker that the policy has in it (one side where there is an opponent), without further
    siblings."""
    questions = settings.algorithm.questions_per_iteration
    alone = settings.opponent.against_itself(questions)
    each, sides = rows_per_debate(settings, policy), len(settings.protocol.sides)
    rows = alone * each + (questions - alone) * each // sides
    return rows * 2 * settings.algorithm.repeats


def learner_dtype(settings: config.Config) -> torch.dtype:
    """Return the dtype in which the learner holds the model.

    An update is often smaller than what bfloat16 can tell apart, so trained weights are held in float32 unless
    DeepSpeed keeps copies in float32 itself; under an adapter the base is frozen and needs none. The arithmetic is in
    `debater.dtype` in any case.
    """
    kept_elsewhere = settings.debater.lora is not None or settings.cluster.deepspeed is not None
    dtype: torch.dtype = getattr(torch, settings.debater.dtype if kept_elsewhere else "float32")
    return dtype


def check_whole_model(settings: config.Debater) -> None:
    """Ask for a debater that can be trained: a whole model, with or without a fresh adapter.

    Raises:
        ModelError: it is an adapter, whose weights are loaded frozen, so that nothing would be learned.
    """
    if (Path(loading.resolve(settings.model)) / "adapter_config.json").exists():
        raise loading.ModelError(
            f"debater.model={settings.model} is an adapter, and training starts from whole models: merge it into its "
            "base model first (`rostrum export run=RUN output=FOLDER` does so for one that Rostrum trained, peft's "
            "merge_and_unload for any other), then set debater.model=FOLDER."
        )


def policy_model(settings: config.Debater) -> "PreTrainedModel | PeftModel":
    """Return the debater to be trained, with a fresh adapter if the configuration asks for one."""
    model = loading.load_model(settings.model, getattr(torch, settings.dtype))
    if settings.lora is None:
        return model
    from peft import get_peft_model

    return get_peft_model(model, lora_config(settings.lora), autocast_adapter_dtype=False)


def lora_config(settings: config.Lora, task: str = "CAUSAL_LM") -> "LoraConfig":
    """Return peft's configuration of the adapter; for task "SEQ_CLS" the head is learned besides."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        task_type=task,
        target_modules=settings.target_modules,
    )


def join_ranks(stage: str | None) -> None:
    """Join the ranks in one process group, with patience for the first of them, which plays while the others wait."""
    cpu = loading.default_device() == "cpu"
    if stage is None:
        PartialState(cpu=cpu, timeout=PATIENCE)
    else:
        import deepspeed

        deepspeed.init_distributed("gloo" if cpu else None, auto_mpi_discovery=False, timeout=PATIENCE)
        PartialState(cpu=cpu)  # or, on CPUs, every rank takes itself for the first one until its trainer is made


def deepspeed_config(stage: str | None, offload: str = "none") -> dict[str, object] | None:
    """Return DeepSpeed's configuration for "zero2" or "zero3"; the rest is filled in from the trainer's own arguments.

    `offload` is "none", "optimizer" or "all" (optimizer and parameters, for "zero3").
    """
    if stage is None:
        return None
    moved = {"none": (), "optimizer": ("offload_optimizer",), "all": ("offload_optimizer", "offload_param")}[offload]
    return {
        "zero_optimization": {
            "stage": {"zero2": 2, "zero3": 3}[stage],
            "overlap_comm": torch.cuda.is_available(),
            "stage3_gather_16bit_weights_on_model_save": True,
            **{part: {"device": "cpu", "pin_memory": torch.cuda.is_available()} for part in moved},
        },
        "bf16": {"enabled": "auto"},
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "zero_allow_untested_optimizer": True,
    }
