"""Several policies at once: each learns from its own speakers and from nobody else's, and a run of them is as whole as
a run of one."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs import transcripts
from rostrum.envs.types import Transcript
from rostrum.launch.compose import ConfigError, load
from rostrum.trainer.config import Config
from rostrum.trainer.config.game import check_protocol
from rostrum.trainer.config.learner_overrides import check_learners
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.learners import limits
from rostrum.trainer.learners.limits import LimitError
from rostrum.trainer.rollouts.measure import by_policy, figures_of
from rostrum.trainer.run import Run
from rostrum.trainer.run_context import RunContext
from rostrum.trainer.section import SectionError
from rostrum.trainer.store.run_folder import STATE, RunFolder, read_lines
from rostrum.trainer.train import train

TWO = (
    "protocol.speakers.A.policy=first",
    "protocol.speakers.B.policy=second",
    "learners={first: {}, second: {}}",
    "algorithm.questions_per_iteration=2",
    "algorithm.learning_rate=3e-3",
    "iterations=3",
)


def metrics(settings: Config) -> list[dict[str, Any]]:
    rows = read_lines(RunFolder(settings.output).metrics)
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def weights(settings: Config, iteration: int, policy: str) -> str:
    folder = RunFolder(settings.output).policy(iteration) / policy
    (path,) = folder.glob("*.safetensors")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check(settings: Config) -> None:
    """Look at what is asked of policies before a training begins."""
    run = RunContext(settings)
    check_protocol(run)
    check_learners(run)
    for policy in settings.policies:
        run.of(policy).config.algorithm.check(run.of(policy))


def test_each_learns_from_its_own_speakers(configure: Callable[..., Config]) -> None:
    """And one stands still to the byte while the other moves."""
    settings = configure(*TWO)
    with Run(settings) as run:
        for iteration in (1, 2, 3):
            policies = run.publish(iteration - 1)
            rows = run.collect(iteration, policies)
            for name, speaker in (("first", "A"), ("second", "B")):
                policy = policies[name]
                assert {row.speaker for row in rows[name]} == {speaker} and len(rows[name]) == 2 * 2 * 2
                assert {row.swapped_seats for row in rows[name]} == {False, True}
                assert {row.policy_version for row in rows[name]} == {policy.version} == {iteration - 1}
                assert policy.path == str(RunFolder(settings.output).policy(iteration - 1) / name)
            moves = "second" if iteration == 2 else "first"
            run.learners[moves].update(rows[moves], policies[moves])
        run.publish(3)
    firsts, seconds = ([weights(settings, at, name) for at in range(4)] for name in ("first", "second"))
    assert firsts[0] == seconds[0], "both begin with the base"
    assert firsts[1] == firsts[2] and len({firsts[0], firsts[1], firsts[3]}) == 3
    assert seconds[0] == seconds[1] and seconds[2] == seconds[3] != seconds[0]
    played = [one for one in transcripts.read(settings.output / "transcripts.jsonl") if isinstance(one, Transcript)]
    spoken = {(speech.speaker, speech.policy) for one in played for speech in one.speeches}
    assert spoken == {("A", "first"), ("B", "second")}


def test_figures_are_told_by_policy(configure: Callable[..., Config], capfd: pytest.CaptureFixture[str]) -> None:
    settings = configure(*TWO)
    train(settings)
    for row in metrics(settings):
        assert row["debates"] == 8 and "reward" not in row and "kl" not in row
        assert row["first/reward"] == pytest.approx(-row["second/reward"]), "what one wins the other loses"
        for name in ("first", "second"):
            own = figures_of(row, name, settings.policies)
            assert {"loss", "kl", "grad_norm", "entropy", "parity", "engine_gap_mean", "words_per_speech"} <= set(own)
            assert own["parity"] < 1e-3 and own["policy_version"] == row["iteration"] - 1
    assert "first:  reward" in (told := capfd.readouterr().err) and "second:  reward" in told


def test_a_learner_beside_another_learns_what_it_would_alone(configure: Callable[..., Config], tmp_path: Path) -> None:
    """Its update of the same rows, before and after another learner of other micro-batches has learned."""
    others = "learners.second.algorithm={micro_batch_rows: 2, epochs: 1, learning_rate: 1e-4}"
    found = []
    for name, order in (("one", ("first", "second")), ("other", ("second", "first"))):
        settings = configure(*TWO, others, f"output={tmp_path}/{name}")
        with Run(settings) as run:
            policies = run.publish(0)
            rows = run.collect(1, policies)
            for policy in order:
                run.learners[policy].update(rows[policy], policies[policy])
            run.publish(1)
        found.append((rows, [weights(settings, 1, policy) for policy in ("first", "second")]))
    assert found[0] == found[1] and len(set(found[0][1])) == 2


@pytest.mark.parametrize(
    "overrides",
    [
        ("save_every=2",),
        ("save_every=2", "learners.second.debater.lora={rank: 4}"),
        ("save_every=2", "algorithm=dpo", "algorithm.min_gap=0", "algorithm.reference=previous"),
    ],
    ids=["ppo", "one-adapter", "dpo"],
)
def test_a_resumed_run_ends_as_if_it_had_never_stopped(
    configure: Callable[..., Config], tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    """What was published of iteration 3 is torn: one policy of two is there."""
    whole, cut = (configure(*TWO, *overrides, f"output={tmp_path}/{name}") for name in ("whole", "cut"))
    assert train(whole) == whole.output / "policies" / "iteration-0003"
    train(cut.model_copy(update={"iterations": 2}))
    folder = cut.output / "trainer" / "checkpoint-2"
    assert {path.name for path in folder.iterdir()} == {"first", "second", STATE}
    torn = RunFolder(cut.output).policy(3)
    torn.mkdir()
    shutil.copytree(RunFolder(cut.output).policy(0) / "first", torn / "first")
    train(cut)
    assert metrics(cut) == metrics(whole) and RunFolder(cut.output).published() == RunFolder(whole.output).published()
    for name in ("first", "second"):
        assert weights(cut, 3, name) == weights(whole, 3, name)


def test_learners_may_differ_in_algorithm_and_model(configure: Callable[..., Config], tiny: Path) -> None:
    settings = configure(
        *TWO,
        "iterations=1",
        "learners.second.algorithm={name: rloo, learning_rate: 1e-3}",
        f"learners.second.debater.model={tiny}/judge",
    )
    assert settings.of("second").algorithm.name == "rloo" and settings.of("first").algorithm.name == "ppo"
    train(settings)
    (row,) = metrics(settings)
    assert "first/value_loss" in row and "second/value_loss" not in row and row["second/parity"] < 1e-3
    assert weights(settings, 0, "first") != weights(settings, 0, "second")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("learners.first={}",), "learners names one policy"),
        (("learners={a: {}, b: {algorithm: {learning_rate: -1}}}",), "learners.b has a learning_rate that cannot"),
        (("learners={a: {}, b: {algorithm: {name: dpo, max_length: 64}}}",), "asks for others .repeats 1, not 4"),
        (("learners={a: {}, b: {debater: {engine: vllm}}}",), "shares engine"),
        (("learners={a: {}, b/c: {}}",), "learners.b/c"),
        (("learners={a: {}, b: {}}", "cluster.weight_transfer=gloo", "debater.engine=vllm"), "weights of one policy"),
    ],
)
def test_what_no_configuration_can_ask_for(overrides: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(list(overrides))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("protocol.speakers.B.policy=third",), "policy=third is none of the policies that are trained"),
        (("protocol.speakers.B.policy=first",), "learners.second speaks for nobody"),
        (("opponent=league",), "opponent=league gives one policy a side of its own"),
        (
            ("cluster.deepspeed=zero2",),
            "cluster.deepspeed=zero2 gives each of 2 policies ranks of its own, .* set cluster.learners=N",
        ),
        (("algorithm.minibatches=3",), "do not divide into 3 minibatches"),
    ],
)
def test_what_no_run_can_be_made_of(configure: Callable[..., Config], overrides: tuple[str, ...], told: str) -> None:
    settings = configure(*TWO, *overrides)
    with pytest.raises(ValueError, match=told):
        check(settings)


@pytest.mark.parametrize(("name", "whom"), [("base", "untrained debater"), ("checkpoint", "debater that is evaluated")])
def test_no_policy_has_a_name_that_means_another_one(configure: Callable[..., Config], name: str, whom: str) -> None:
    settings = configure(*(given.replace("second", name) for given in TWO))
    with pytest.raises(
        SectionError, match=f"learners.{name} has the name that transcripts and reports give to the {whom}"
    ):
        check(settings)
    check(configure(*(given.replace("second", "trainer") for given in TWO)))  # no folder or figure is called so


def test_policies_of_one_debate_read_alike(configure: Callable[..., Config], tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "debater", tmp_path / "chats")
    (tmp_path / "chats" / "chat_template.jinja").write_text("{{ messages }}", "utf-8")
    settings = configure(*TWO, f"learners.second.debater.model={tmp_path}/chats")
    with pytest.raises(SectionError, match="learners.second has a debater.model with another tokenizer or chat templ"):
        check(settings)


def test_limits_look_at_each_policy(configure: Callable[..., Config]) -> None:
    settings = configure(*TWO)
    row = {"iteration": 2, **by_policy({"first": {"kl": 0.1, "entropy": 1.0}, "second": {"kl": 99.0, "entropy": 0.0}})}
    with pytest.raises(LimitError, match="KL divergence of second from the reference is 99"):
        limits.check_learned(row, settings)
    with pytest.raises(LimitError, match="entropy of second is 0 nats"):
        limits.check_speeches(row, settings)
    limits.check_learned({"iteration": 2, "first/kl": 0.1}, settings)


def test_without_learners_nothing_of_them_is_saved(configure: Callable[..., Config]) -> None:
    settings = configure()
    assert "learners" not in settings.model_dump(mode="json") and settings.policies == ("current",)
    assert settings.of("current") is settings
