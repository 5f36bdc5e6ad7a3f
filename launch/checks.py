"""Everything that can be found wrong with a run before anything is started."""

import importlib.util
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch.utils.cpp_extension import get_default_build_root, is_ninja_available

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.questions.base import load_questions
from rostrum.envs.types import TRAINED
from rostrum.launch import context, saved
from rostrum.launch.errors import LaunchError
from rostrum.launch.opponents import check_opponent
from rostrum.rewards.endpoint.config import Endpoint
from rostrum.rewards.inquirer import inquiring_model
from rostrum.rewards.judges import JudgeError, ModelSettings, likelihood
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.trial import try_once
from rostrum.rewards.written import WritingSettings
from rostrum.trainer import model_checks, setup
from rostrum.trainer.config import Config, Lora
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.evaluation.judge_audit.carried import carried
from rostrum.trainer.evaluation.monitor import set_aside
from rostrum.trainer.models import loading
from rostrum.trainer.models.loading import ModelError
from rostrum.trainer.progress import say
from rostrum.trainer.store import checkpoints
from rostrum.trainer.store.run_folder import RunFolder
from rostrum.trainer.store.tracking import check_key

MIB = 2**20
BUILD_TIME = 1800.0
"""Seconds in which any of DeepSpeed's operators is built."""


def check(config: Config) -> None:
    """Raises what is wrong with a training run that is about to start: one of our errors, one sentence, what to do."""
    check_inference(config)
    check_machine(config)
    check_questions(config)
    load_prompts(config.debater.prompts)
    check_model(config.debater.model, lora=config.debater.lora, trained=True)
    setup.check_whole_model(config.debater)
    check_judges(config.judge_models, config)
    tell_shared_judges(config)
    check_algorithm(config)
    check_opponent(config)
    context.check_context(config)
    check_space(config)
    check_key(config)


def check_audit(config: Config) -> Mapping[str, Any] | None:
    """Says in one line what is known of the reward judge's audit, and returns what the manifest records of it.

    Raises:
        AuditError: the judge failed it and judge.audit is "refuse", or the audit is of another judge.
    """
    found = carried(config.judge)
    say(found.sentence)
    return found.record


def check_output(folder: Path) -> None:
    """A new run needs a folder that is new or empty, but for its plan.

    Raises:
        LaunchError: it holds a run or an experiment, or somebody else's files.
    """
    if RunFolder(folder).config.exists():
        raise LaunchError(
            f"{folder} already holds a run: continue it with `rostrum train resume={folder}` or choose another "
            "output=FOLDER."
        )
    saved.check_new(folder)


def check_machine(config: Config) -> None:
    """Ask for what engines need, for a GPU, DeepSpeed and several processes, where the configuration asks for them.

    Raises:
        EngineError: an engine cannot run here.
        LaunchError: one of the others is not there.
    """
    for name in sorted(config.engines):
        engine_settings(name).check()
    cluster = config.cluster
    for key in ("gpus_per_learner", "gpus_per_worker", "gpus_per_judge"):
        if getattr(cluster, key) and cluster.address is None and not torch.cuda.is_available():
            raise LaunchError(
                f"cluster.{key} asks for a GPU and this machine has none: set it to 0, or join a cluster that has some "
                "with cluster.address."
            )
    under_torchrun = "RANK" in os.environ
    if cluster.learners and under_torchrun:
        raise LaunchError("cluster.learners starts the ranks itself: leave torchrun out, or set cluster.learners=0.")
    if cluster.deepspeed is None:
        return
    if importlib.util.find_spec("deepspeed") is None:
        raise LaunchError("cluster.deepspeed needs DeepSpeed, which runs on Linux only: choose cluster=local.")
    _check_build(cluster.offload)
    if not cluster.learners and not under_torchrun:
        raise LaunchError(
            f"cluster.deepspeed={cluster.deepspeed} needs one process per device: set cluster.learners=N, or start it "
            "with `torchrun --nproc-per-node=N -m rostrum train ...`."
        )


def _check_build(offload: str) -> None:
    """DeepSpeed compiles operators when it is first used, and for offloading its Adam for CPUs, without which it does
    not offload; a build that was killed leaves a lock that is waited on for ever.

    Raises:
        LaunchError: there is nothing to compile with, or there is such a lock.
    """
    if offload != "none" and not (shutil.which(os.environ.get("CXX", "c++")) and is_ninja_available()):
        raise LaunchError(
            f"cluster.offload={offload} needs DeepSpeed's Adam for CPUs, which is compiled when it is first used: "
            "install a C++ compiler and ninja (`pip install ninja`), or choose cluster.offload=none."
        )
    for lock in Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root()).glob("*/*/lock"):
        if time.time() - lock.stat().st_mtime > BUILD_TIME:
            raise LaunchError(f"A build of DeepSpeed's operators was cut off and left {lock}: remove that file.")


def check_algorithm(config: Config) -> None:
    """Somebody to train, rows that divide, and checkpoints that training will reach.

    Raises:
        LaunchError: one of these is amiss.
        AlgorithmError: the rows of an iteration do not suit it.
    """
    sides, algorithm = len(config.protocol.sides), config.algorithm
    if not sides:
        raise LaunchError(
            f"protocol={config.protocol.name} has no debaters to train: choose debate, simultaneous or consultancy "
            "(every evaluation has naive and expert judges in it)."
        )
    if others := [(name, of.policy) for name, of in config.protocol.speakers.items() if of.policy != TRAINED]:
        name, policy = others[0]
        raise LaunchError(
            f"protocol.speakers.{name}.policy={policy} names a policy that is not trained here: there is one, called "
            f"{TRAINED}; whom it meets is said by opponent=."
        )
    chosen = config.evaluation.checkpoints
    beyond = [iteration for iteration in chosen if iteration > config.iterations] if isinstance(chosen, list) else []
    if beyond:
        raise LaunchError(
            f"evaluation.checkpoints names iteration {beyond[0]} and the run has {config.iterations}: raise iterations "
            "or leave it out."
        )
    if not algorithm.keeps_optimizer:
        _check_updates_are_kept(config)
    ranks = config.cluster.learners or int(os.environ.get("WORLD_SIZE", 1))
    algorithm.check(setup.rows_per_iteration(config), ranks)


def _check_updates_are_kept(config: Config) -> None:
    """DeepSpeed's copies of the weights in float32 end with its trainer, and an algorithm that keeps nothing but the
    weights (DPO) has a new one in each iteration, which starts from what was published.

    Raises:
        LaunchError: that is too coarse for what an iteration changes.
    """
    debater, stage = config.debater, config.cluster.deepspeed
    if stage is not None and debater.dtype == "bfloat16" and debater.lora is None:
        raise LaunchError(
            f"algorithm={config.algorithm.name} with cluster.deepspeed={stage} would round full weights to bfloat16 "
            "after every iteration, which undoes small updates: train an adapter (debater.lora.rank=16), or choose "
            "debater.dtype=float32."
        )


def check_inference(config: Config) -> None:
    """What is learned from must be what the policy samples in its place.

    Raises:
        LaunchError: speeches would be chosen among samples, or written elsewhere.
        PromptError: the protocol lets the judge ask, and its prompt set has no template for that.
    """
    if not config.inference.as_sampled:
        raise LaunchError(
            f"inference={config.inference.kind} is for evaluations: train without it, then `rostrum evaluate run=RUN "
            f"inference={config.inference.kind}`."
        )
    setup.inference(config)


def check_test_questions(config: Config) -> None:
    """Refuse to test without questions, and on stories that were learned from, which another seed can put among the
    held-out ones.

    Raises:
        QuestionError: there are no held-out questions.
        LaunchError: a story of the training split is among those of the test.
    """
    tested, seed = load_questions(config.test_questions, "heldout"), config.evaluation.questions_seed
    if seed is None:
        return
    learned = {question.story_id for question in load_questions(config.questions).questions("train")}
    asked = {question.story_id for question in tested.questions("heldout")}
    if shared := learned & asked:
        raise LaunchError(
            f"questions.seed={seed} puts {len(shared)} stories that the run learns from among the held-out ones: only "
            "a set that makes new stories (questions=testimony) can be tested on fresh ones, so leave it out."
        )


def check_questions(config: Config) -> None:
    """Questions to train on and, for the evaluation, held-out ones with their answers.

    Raises:
        QuestionError: the file cannot be used, or a split is empty.
        LaunchError: there is a watch and no held-out judge.
        WatchError: there are too few questions to set aside for the watch.
    """
    questions = load_questions(config.questions, "train", "heldout")
    questions.answer_key("heldout")
    check_test_questions(config)
    if config.watch.questions and not config.heldout_judges:
        raise LaunchError("The watch compares the reward judge with others: set heldout_judges, or watch.questions=0.")
    set_aside(questions.questions("train"), config.watch.questions)


def check_model(model: str, has_head: bool = False, lora: Lora | None = None, trained: bool = False) -> None:
    """Config, tokenizer, and names and shapes of the weights, without reading the weights (`trainer.model_checks`).

    Raises:
        ModelError: there is no such model, it cannot be fetched, it is not safe to load, or it cannot do what is asked.
    """
    for place in {Path(loading.resolve_base(model)), Path(loading.resolve(model))}:
        for weights in place.glob("*.safetensors"):
            if not weights.is_file():
                raise ModelError(f"{weights} is no file: copy the model folder again.")
            try:
                with safe_open(str(weights), framework="pt") as tensors:
                    tensors.keys()
            except SafetensorError as error:
                raise ModelError(f"The safetensors file {weights} is damaged ({error}): copy it again.") from None
    try:
        model_checks.check(model, has_head, lora, trained)
    except ModelError:
        raise
    except OSError:
        raise ModelError(
            f"The model {model} could not be fetched: check its name and the connection, or give a folder with "
            "config.json, a tokenizer and *.safetensors."
        ) from None
    except ValueError as error:
        raise ModelError(f"The model {model} cannot be used ({error}): choose one that transformers knows.") from None


def tell_shared_judges(config: Config) -> None:
    """Says which held-out judges are a part of the judge that gives the reward: they test nothing anew."""
    rewarding = {model.model for model in config.judge.needs()}
    for judge in config.heldout_judges:
        if rewarding & {model.model for model in judge.needs()}:
            say(f"{judge.name} is to be a held-out judge and its model also gives the reward: it tests nothing anew.")


def check_judges(judges: Iterable[ModelSettings], run: Config | None = None) -> None:
    """Check what judges read and read it with: prompts, model folders, and endpoints by asking each one short question,
    or, if the judge writes its verdicts, for one on a made-up debate.

    Raises:
        EndpointError: an endpoint gives no reply or a wrong one, or the run has spent what it may.
        JudgeError: an endpoint's text cannot be read as a verdict.
    """
    judges = list(judges)
    for name in sorted({judge.engine for judge in judges if judge.endpoint is None}):
        engine_settings(name).check()
    for judge in judges:
        judge.judge_prompts()
    for model, has_head in {(judge.model, judge.has_head) for judge in judges if judge.endpoint is None}:
        check_model(model, has_head)
    asks = inquiring_model(run.judge) if run is not None and run.protocol.judge_asks else None
    for judge in judges:
        if judge.endpoint is None:
            _check_thoughts(judge, writes=judge.task != "judge" or judge == asks)
    for judge in judges:
        if judge.endpoint is not None and judge.probe:
            impatient = judge.endpoint.model_copy(update={"retries": min(judge.endpoint.retries, 1)})
            _check_endpoint(judge, impatient, run)


def _check_endpoint(judge: ModelSettings, endpoint: Endpoint, run: Config | None) -> None:
    if isinstance(judge, WritingSettings):
        anew = endpoint.model_copy(update={"cache": None})
        try:
            try_once(setup.judge(judge.model_copy(update={"endpoint": anew, "order": "given"}), run))
        except JudgeError as error:
            if endpoint.probe == "refuse":
                raise
            say(str(error))
        return
    scorer = setup.endpoint_scorer(judge, endpoint, run)
    if isinstance(judge, likelihood.Settings) and judge.choice == "answer":
        scorer.check(None)
        scorer.check_echo()
    else:
        scorer.check(judge.min_mass if isinstance(judge, likelihood.Settings) else 0.0)


def _check_thoughts(judge: ModelSettings, writes: bool) -> None:
    """Ask whether a judge's prompts can be told to its model, and what it thinks be told from what it says.

    Raises:
        EngineError: the chat template loses a part of the prompt.
        LaunchError: the judge would read its verdict in the middle of a thought, or take a thought for it.
    """
    fmt = setup.judge_format(judge)
    if judge.has_head:
        return
    if judge.task == "judge" and fmt.opens_thoughts:
        raise LaunchError(
            f"{judge.name} reads its verdict from the first word of a reply, and {judge.model} begins every reply with "
            "a thought: let it write its verdicts (judge=chat-verdict or chat-rating), or take another model."
        )
    if writes and fmt.unknown_thoughts:
        raise LaunchError(
            f"{judge.name} writes, and {judge.model} marks its thoughts in a way that is not known "
            f"({fmt.unknown_thoughts}), so one could be taken for its verdict: use another model."
        )


def tell_held_out(config: Config, debates: Sequence[Labelled]) -> None:
    """Says how many debates that a judge is to learn from are about held-out stories, on which it would be measured."""
    stories = {question.story_id for question in load_questions(config.questions).questions("heldout")}
    known = sum(debate.transcript.question.story_id in stories for debate in debates)
    if known:
        say(f"{known} of these debates are about held-out stories: do not evaluate anything by this judge on them.")


def check_space(config: Config) -> None:
    """Room for the checkpoints.

    Raises:
        LaunchError: they will not fit.
    """
    needed = checkpoint_bytes(config)
    place = next(folder for folder in _upwards(config.output) if folder.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise LaunchError(
            f"The checkpoints need about {needed // MIB:,} MiB and {place} has {free // MIB:,} MiB free: free some "
            "space, raise save_every, or choose another output=FOLDER."
        )


def checkpoint_bytes(config: Config) -> int:
    """About what the run will write: published policies, and the checkpoints that are there while one is written.

    0 for a model on a hub, whose size is not known before it is fetched.
    """
    weights = sum(path.stat().st_size for path in Path(loading.resolve(config.debater.model)).glob("*.safetensors"))
    if config.debater.lora is not None:
        weights //= 20  # rank 16 on every linear layer of a small model; larger ones have relatively less
    published = 2 + config.iterations // config.save_every + len(config.opponent.kept(config.iterations))
    of_a_checkpoint = 3 if config.algorithm.keeps_optimizer else 1  # the weights, and Adam's two moments
    return weights * (published + (checkpoints.KEPT + 1) * of_a_checkpoint)


def _upwards(path: Path) -> Iterator[Path]:
    yield path.absolute()
    yield from path.absolute().parents
