"""A run folder or a YAML from a stranger: nothing of this machine's leaves to where it says, and no prompts of its are
rendered, unless this command line names them."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rostrum.envs.prompts.prompt_sets import BUILTIN, PromptError, Prompts
from rostrum.envs.types import Side
from rostrum.launch import compose, saved, trust
from rostrum.launch.arms import Arm
from rostrum.launch.cli import main
from tests.fake_endpoint import FakeEndpoint, serving

KEY = "sk-planted-0123456789abcdefXYZ"
FEW = ("questions.heldout=2", "evaluation.attacks=0", "evaluation.browser_debates=1")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    for name in ("PLANTED", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    with serving() as endpoint:
        yield endpoint


def received(server: FakeEndpoint) -> str:
    return json.dumps([server.headers, server.bodies, server.paths])


def judge_at(server: FakeEndpoint, **endpoint: Any) -> dict[str, Any]:
    where = {"base_url": server.base_url, "key_variable": "PLANTED", "cache": None, "retries": 0, **endpoint}
    return {
        "kind": "likelihood",
        "name": "weak-judge",
        "model": "far-away",
        "prompts": "chat",
        "choice": "letter",
        "engine": "endpoint",
        "endpoint": where,
    }


@pytest.fixture
def strange(trained: Path, tmp_path: Path) -> Callable[..., Path]:
    """A run folder whose configuration somebody has changed."""

    def make(**changes: Any) -> Path:
        run = Path(shutil.copytree(trained, tmp_path / "strange", dirs_exist_ok=True))
        values = yaml.safe_load((trained / "config.yaml").read_text("utf-8")) | changes
        (run / "config.yaml").write_text(yaml.safe_dump(values), "utf-8")
        return run

    return make


def test_a_run_folder_sends_no_key_unless_the_command_line_names_it(
    strange: Callable[..., Path], server: FakeEndpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    run = strange(judge=judge_at(server))
    assert main(["evaluate", f"run={run}", *FEW]) == 0
    assert len(server.bodies) > 2 and KEY not in received(server)
    assert "is not sent your PLANTED: to send it, add judge.endpoint.key_variable=PLANTED" in capfd.readouterr().err
    named = "judge.endpoint.key_variable=PLANTED"
    for command in (["debate", f"a={run}"], ["compare", f"run={run}", f"output={run}-c", "heldout_judges=none"]):
        server.headers.clear()
        assert main([*command, "questions.heldout=2"]) == 0
        assert server.headers and KEY not in received(server), command
    server.headers.clear()
    assert main(["debate", f"a={run}", named]) == 0
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers) and server.headers


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "http://127.0.0.1:9/${oc.env:PLANTED}/v1"},
        {"body": {"user": "${oc.env:PLANTED}"}},
        {"body": {"user": "${oc.decode:${oc.env:PLANTED}}"}},
        {"body": {"user": "\\${oc.env:PLANTED}"}},
    ],
)
def test_a_configuration_from_a_file_looks_up_nothing(
    change: dict[str, Any],
    strange: Callable[..., Path],
    server: FakeEndpoint,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    judge, path = judge_at(server, **change), tmp_path / "judge.yaml"
    run = strange(judge=judge)
    path.write_text(yaml.safe_dump(judge), "utf-8")
    commands = [
        ["evaluate", f"run={run}"],
        ["train", f"resume={run}"],
        ["debate", f"a={run}"],
        ["compare", f"run={run}", f"output={tmp_path}/c"],
        ["tournament", f"runs={run}", f"output={tmp_path}/t"],
        ["audit", f"judge={path}", f"output={tmp_path}/a"],
        ["train", f"judge={path}", f"output={tmp_path}/r"],
    ]
    for command in commands:
        message = refused(*command)
        assert "only a command line may ask for what is in the environment" in message and "endpoint." in message
        assert KEY not in message
    assert KEY not in received(server)


def test_a_file_of_ones_own_sends_the_key_that_the_command_line_names(server: FakeEndpoint, tmp_path: Path) -> None:
    path = tmp_path / "judge.yaml"
    path.write_text(yaml.safe_dump({"kind": "calibrated", "name": "c", "base": judge_at(server), "calibration": {}}))
    own = [f"judge={path}", f"output={tmp_path}/run"]

    def variable(*more: str) -> str | None:
        (model,) = compose.load([*own, *more]).judge.needs()
        assert model.endpoint is not None
        return model.endpoint.key_variable

    assert variable() is None
    assert variable("judge.base.endpoint.key_variable=PLANTED") == "PLANTED"
    address = f"judge.base.endpoint.base_url={server.base_url}"
    assert variable(address) == "OPENAI_API_KEY", "whoever names the address himself is not asked for more"
    assert variable("judge.name=another") is None


def test_what_the_command_line_names_reaches_the_processes_that_it_starts(server: FakeEndpoint, tmp_path: Path) -> None:
    """Which read the configuration from the run's folder."""
    words = ["judge=endpoint", "judge.model=far-away", f"judge.endpoint.base_url={server.base_url}"]
    arm = Arm("arm", [*words, "cluster.address=10.0.0.1:6379"], tmp_path / "arm")
    compose.save(arm.config, tmp_path / "arm" / "config.yaml")
    command, folder, *named = arm._next()
    assert (command, folder) == ("train", f"resume={tmp_path / 'arm'}")
    config, kept = saved.entrusted(tmp_path / "arm", named)
    assert compose.load(kept, config).judge == arm.config.judge
    with pytest.raises(trust.LaunchError, match="joins the Ray cluster 10.0.0.1:6379.*cluster.address=10.0.0.1:6379"):
        saved.entrusted(tmp_path / "arm", [])
    assert saved.entrusted(tmp_path / "arm", ["cluster=local"])[1] == ["cluster=local"]


def test_text_that_was_saved_is_never_read_as_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    config = compose.load([f"output={tmp_path}", "wandb.group='\\${seed}'"])
    assert config.wandb.group == "${seed}"
    assert compose.load(["seed=3"], config).wandb.group == "${seed}"
    assert compose.load(["wandb.project=${oc.env:PLANTED}"], config).wandb.project == KEY, "the user's own words"


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUILTIN / "testimony", tmp_path / "prompts"))


def test_a_prompt_folder_is_rendered_only_if_the_command_line_names_it(
    strange: Callable[..., Path],
    prompts: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    values = yaml.safe_load((strange() / "config.yaml").read_text("utf-8"))
    run = strange(debater=values["debater"] | {"prompts": str(prompts)})
    for command in (["evaluate", f"run={run}"], ["debate", f"a={run}"], ["train", f"resume={run}"]):
        assert f"say so with debater.prompts={prompts}" in refused(*command)
    assert "debater.prompts cannot be changed" in refused("evaluate", f"run={run}", f"debater.prompts={prompts}/other")
    assert main(["evaluate", f"run={run}", f"debater.prompts={prompts}", *FEW]) == 0
    path = tmp_path / "judge.yaml"
    path.write_text(yaml.safe_dump(values["judge"] | {"prompts": str(prompts)}), "utf-8")
    capfd.readouterr()
    assert f"say so with judge.prompts={prompts}" in refused("audit", f"judge={path}", f"output={tmp_path}/a")
    assert compose.load([f"judge={path}", f"judge.prompts={prompts}", "output=x"]).judge.prompts == str(prompts)


@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__.os.environ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for x in range(10 ** 9) %}x{% endfor %}",
        "{{ nobody }}",
        "{{ 1 / 0 }}",
        "{{ question.foo.bar }}",
        "{% include '/etc/passwd' %}",
        "{% include '../secret' %}",
        "{{",
    ],
)
def test_templates_are_rendered_in_a_sandbox(template: str, prompts: Path, tmp_path: Path, questions: Any) -> None:
    (tmp_path / "secret").write_text(KEY, "utf-8")
    (prompts / "opening.j2").write_text(template, "utf-8")
    question = questions[0]
    with pytest.raises(PromptError, match="opening.j2 cannot be"):
        Prompts(prompts).opening(question, question.answers, Side.A, "passage")
