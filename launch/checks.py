"""What can be found wrong with a run before anything is started: the walk through the sections of its configuration.

Each section says what is wrong with it in its run (`check(run)`); what concerns no section alone is here.
"""

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rostrum.launch import context, saved
from rostrum.launch.errors import LaunchError
from rostrum.rewards.judges import JudgeError, ModelSettings, likelihood
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.trial import try_once
from rostrum.rewards.written import WritingSettings
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.config.game import check_protocol, check_questions
from rostrum.trainer.config.learner_overrides import check_learners
from rostrum.trainer.models import loading
from rostrum.trainer.progress import say
from rostrum.trainer.run_context import RunContext
from rostrum.trainer.store import checkpoints
from rostrum.trainer.store.run_folder import RunFolder

MIB = 2**20


def check(run: RunContext) -> None:
    """Raise what is wrong with a training that is about to start: one of our errors, one sentence, what to do.

    What costs nothing to look at comes first, then files, then models, and last what is asked of servers.
    """
    config = run.config
    if not config.judge.reads_anew:
        raise LaunchError(
            f"{config.judge.name} knows only debates that were judged before, and training makes new ones: train by "
            "another judge, and have this one among heldout_judges."
        )
    config.decoding.check(run)
    for name in sorted(config.engines):
        run.check_engine(name)
    config.cluster.check(run)
    check_protocol(run)
    check_questions(run)
    check_teachers(run, training=True)
    config.evaluation.check(run)
    config.monitor.check(run)
    check_learners(run)
    for policy in config.policies:
        run.of(policy).config.debater.check(run.of(policy))
    check_judges(config.judge_models, run)
    tell_shared_judges(config)
    for policy in config.policies:
        run.of(policy).config.algorithm.check(run.of(policy))
    config.opponent.check(run)
    context.check_context(run)
    check_space(config)
    config.wandb.check(run)


def check_audit(config: Config) -> Mapping[str, Any] | None:
    """Say in one line what is known of the reward judge's audit, and return what the manifest records of it.

    Raises:
        AuditError: the judge failed it and judge.audit is "refuse", or the audit is of another judge.
    """
    from rostrum.trainer.evaluation.judge_audit.audit_gate import audit_gate  # its package is slow to import

    found = audit_gate(config.judge)
    say(found.sentence)
    return found.record


def check_output(folder: Path) -> None:
    """Refuse a folder for a new run that is neither new nor empty, but for its plan.

    Raises:
        LaunchError: it holds a run or an experiment, or somebody else's files.
    """
    if RunFolder(folder).config.exists():
        raise LaunchError(
            f"{folder} already holds a run: continue it with `rostrum train resume={folder}` or choose another "
            "output=FOLDER."
        )
    saved.check_new(folder)


def tell_shared_judges(config: Config) -> None:
    """Say which held-out judges are a part of the judge that gives the reward: they test nothing anew."""
    rewarding = {model.model for model in config.judge.needs()}
    for judge in config.heldout_judges:
        if rewarding & {model.model for model in judge.needs()}:
            say(f"{judge.name} is to be a held-out judge and its model also gives the reward: it tests nothing anew.")


def check_judges(judges: Iterable[ModelSettings], run: RunContext, counted: bool = True) -> None:
    """Check what judges read and read it with; then, at a price, those behind endpoints.

    Args:
        judges: The models of all judges that will be asked.
        run: The run that they judge.
        counted: Whether what endpoints are asked counts as the run's, in its folder.

    Raises:
        EndpointError: an endpoint gives no reply or a wrong one, or the run has spent what it may.
        JudgeError: an endpoint's text cannot be read as a verdict, or a judge cannot be used as it is configured.
    """
    judges = list(judges)
    for judge in judges:
        judge.check(run)
    for judge in judges:
        probe(judge, run.config if counted else None)


def probe(judge: ModelSettings, run: Config | None) -> None:
    """Ask a judge's endpoint one short question, or, if the judge writes its verdicts, for one on a made-up debate."""
    if judge.endpoint is None or not judge.probe:
        return
    endpoint = judge.endpoint.model_copy(update={"retries": min(judge.endpoint.retries, 1)})
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


def check_teachers(run: RunContext, stories: Collection[str] | None = None, training: bool = False) -> None:
    """Refuse judges on stories that people taught them on, and studies that teach where one that tests is asked for.

    Args:
        run: The run that they judge.
        stories: Those that they are to read debates about; none: those that checkpoints are tested on.
        training: Whether they read debates about the training's stories too.

    Raises:
        TaughtError: a judge is not to be used on these stories.
    """
    from rostrum.trainer.evaluation.people.teaching import check_stories

    if stories is None:
        asked = [*run.test_questions().questions("heldout"), *(run.questions().questions("train") if training else ())]
        stories = {question.story_id for question in asked}
    check_stories(run.config.judges, stories)


def tell_held_out(run: RunContext, debates: Sequence[Labelled]) -> None:
    """Say how many debates that a judge is to learn from are about held-out stories, on which it would be measured."""
    stories = {question.story_id for question in run.questions().questions("heldout")}
    known = sum(debate.transcript.question.story_id in stories for debate in debates)
    if known:
        say(f"{known} of these debates are about held-out stories: do not evaluate anything by this judge on them.")


def check_space(config: Config) -> None:
    """Ask for room for the checkpoints.

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
    """Return about what the run will write: published policies, and the checkpoints that are there while one is
    written.

    0 for a model on a hub, whose size is not known before it is fetched.
    """
    return sum(_bytes_of(config.of(policy)) for policy in config.policies)


def _bytes_of(config: Config) -> int:
    weights = sum(path.stat().st_size for path in Path(loading.resolve(config.debater.model)).glob("*.safetensors"))
    if config.debater.lora is not None:
        weights //= 20  # rank 16 on every linear layer of a small model; larger ones have relatively less
    published = 2 + config.iterations // config.save_every + len(config.opponent.kept(config.iterations))
    of_a_checkpoint = 3 if config.algorithm.keeps_optimizer else 1  # the weights, and Adam's two moments
    return weights * (published + (checkpoints.KEPT + 1) * of_a_checkpoint)


def _upwards(path: Path) -> Iterator[Path]:
    yield path.absolute()
    yield from path.absolute().parents
