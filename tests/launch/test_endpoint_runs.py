"""Runs whose judge is behind an endpoint, from the command line: training, evaluation, caps, and a key that shows
nowhere."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rostrum.launch.cli import main
from rostrum.launch.errors import LaunchError
from rostrum.rewards.endpoint.ledger import Ledger
from rostrum.rewards.endpoint.scorer import LEDGER
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from tests.fake_endpoint import PROMPT_TOKENS, Answer, FakeEndpoint, error, reply, serving

KEY = "sk-planted-0123456789abcdefXYZ"
Refused = Callable[..., str]


def opinion(body: dict[str, Any]) -> Answer:
    """A judge that prefers the side that says more, and repeats the key in what it lists."""
    speeches = re.findall(r"Debater ([AB]) said:\n(.*)", body["messages"][0]["content"])
    odds = sum(len(said) * (1 if side == "A" else -1) for side, said in speeches)
    p = 1 / (1 + math.exp(-0.1 * odds))
    return reply(body, {"A": math.log(0.9 * p), "B": math.log(0.9 * (1 - p)), KEY: -4.0}, (f"A {KEY}",))


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with serving(opinion) as endpoint:
        yield endpoint


@pytest.fixture
def words(tiny: Path, server: FakeEndpoint, tmp_path: Path) -> list[str]:
    """A small run with a judge behind the server."""
    return [
        "judge=endpoint",
        "judge.model=far-away",
        f"judge.endpoint.base_url={server.base_url}",
        "judge.prompts=chat",
        f"judge.endpoint.cache={tmp_path}/cache",
        "judge.endpoint.price_in=1",
        "judge.endpoint.price_out=2",
        f"debater.model={tiny}/debater",
        "heldout_judges=none",
        "questions.train=12",
        "questions.heldout=4",
        "algorithm.questions_per_iteration=2",
        "algorithm.debates_per_seating=2",
        "algorithm.minibatches=1",
        "iterations=2",
        "save_every=1",
        f"output={tmp_path}/run",
        "evaluation.attacks=0",
    ]


def everything_under(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_trained_and_evaluated_and_the_key_shows_nowhere(
    words: list[str],
    server: FakeEndpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run = tmp_path / "run"
    assert main(["train", *words, "wandb.mode=offline"]) == 0
    assert main(["evaluate", f"run={run}", "judge.endpoint.key_variable=OPENAI_API_KEY"]) == 0
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    answered = len(server.bodies)
    for status in (400, 401, 429, 500):
        server.script = lambda body, status=status: error(status, f"Key {KEY}, that is {KEY[:9]}***{KEY[-4:]}, failed")
        new = ["train", *words, f"output={tmp_path}/{status}", "judge.endpoint.cache=null", "judge.endpoint.retries=0"]
        assert main(new) == 2
    shown = capfd.readouterr()
    files = everything_under(tmp_path)
    assert {"replies.sqlite", "spending.sqlite", "report.html", "config.yaml"} <= {Path(name).name for name in files}
    assert any("wandb" in name for name in files)
    for name, content in [("output", shown.out.encode()), ("errors", shown.err.encode()), *files.items()]:
        for secret in (KEY, KEY[3:20], KEY[-12:]):
            assert secret.encode() not in content, name
    assert "[key], that is [key], failed" in shown.err
    assert "gives log-probabilities" in shown.err and "estimate" in shown.err
    assert shown.err.count("gives log-probabilities") == 2, "once when it is trained and once when it is evaluated"
    _valid_and_paid_for(run, answered)


def _valid_and_paid_for(run: Path, answered: int) -> None:
    verdicts = pd.read_parquet(run / "verdicts.parquet")
    assert len(verdicts) and verdicts["valid"].all() and verdicts["p_mean"].nunique() > 1
    assert Ledger(run / LEDGER, "judge", None).spent == pytest.approx(answered * (PROMPT_TOKENS + 2) / 1e6)
    rows = read_lines(RunFolder(run).metrics)
    assert all(row["judge_dollars"] > 0 and row["judge_requests"] > 0 for row in rows)


def test_the_cap_stops_a_run_that_goes_on_with_a_higher_one(
    words: list[str], server: FakeEndpoint, tmp_path: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    run, cap = tmp_path / "run", 0.0028
    assert main(["train", *words, f"judge.endpoint.spend_cap={cap}"]) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert f"could exceed the cap of ${cap}" in said and "judge.endpoint.spend_cap=DOLLARS" in said
    spent = len(server.bodies) * (PROMPT_TOKENS + 2) / 1e6
    assert 0 < spent <= cap and not (run / "manifest.json").read_text("utf-8").count("finished")
    assert "leave out" in refused("train", f"resume={run}", "judge.endpoint.api=completions")
    assert main(["train", f"resume={run}", "judge.endpoint.spend_cap=1"]) == 0
    debates = [json.dumps(body) for body in server.bodies if "alphabet" not in json.dumps(body)]
    assert len(debates) == len(set(debates)), "nothing was asked twice"
    assert main(["evaluate", f"run={run}", "judge.endpoint.spend_cap=1"]) == 0


def test_an_estimate_without_asking_anybody(
    words: list[str], server: FakeEndpoint, tmp_path: Path, capfd: pytest.CaptureFixture[str], refused: Refused
) -> None:
    """Two iterations of eight debates, each read twice."""
    assert main(["train", *words, "dry_run=true"]) == 0
    assert "the training 32 requests" in capfd.readouterr().out
    assert not server.bodies and not (tmp_path / "run").exists()
    assert "dry_run=true" in refused("train", *words, "dry_run=perhaps")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("judge.choice=answer", "choice=letter"),
        ("judge.endpoint.base_url=https://sk-secret@host/v1", "it may hold no key"),
        ("judge.endpoint.base_url=localhost:8000", "must be an address"),
        ("judge.endpoint.spend_cap=1", "set them"),
        ("judge.endpoint.body={n: 3}", "cannot set n"),
        ("judge.endpoint.body={max_tokens: null}", "max_completion_tokens"),
        ("judge.engine=vllm", "go together"),
        ("judge.endpoint=null", "go together"),
        ("judge.endpoint.base_url=http://127.0.0.1:9/v1", "nothing answers"),
    ],
)
def test_a_wrong_value_is_refused(override: str, said: str, words: list[str], refused: Refused) -> None:
    priceless = [word for word in words if "price" not in word]
    message = refused("train", *priceless, "judge.endpoint.retries=0", override)
    assert said in message and "sk-secret" not in message


@pytest.mark.parametrize(
    ("kind", "script", "said"),
    [
        ("letters", {"<think>": -0.01, "Okay": -5.0}, "A and B comes first"),
        ("letters", {"A": -2.0, "B": -0.2}, "it answered B"),
        ("letters", {"Based": -0.01, "A": -7.5, "B": -8.5}, "probability"),
        ("verdict", "Debater A quotes better, so A wins.", "wrote 'Debater A quotes better, so A wins.'"),
        ("rating", "Debater A quotes better.\n\n**Verdict: A**", "**Verdict: A**"),
        ("verdict", None, "finish reason: length"),
        ("verdict", {"error": {"message": "no", "code": 402}}, "nothing left to spend"),
        ("verdict", {"error": {"message": "later", "code": 429}}, "could not be tried"),
    ],
)
def test_a_judge_that_would_give_no_verdict_is_refused_before_anything_is_played(
    kind: str, script: Any, said: str, words: list[str], server: FakeEndpoint, tmp_path: Path, refused: Refused
) -> None:
    """The letter that it answers is read, and one that writes is tried on a made-up debate."""

    def answer(body: dict[str, Any]) -> Answer:
        if isinstance(script, dict):
            return (200, {}, json.dumps(script)) if "error" in script else reply(body, script)
        choice = {"message": {"content": script}, "finish_reason": "stop" if script else "length"}
        return 200, {}, json.dumps({"choices": [choice]})

    server.script = answer
    written = [f"judge=chat-{kind}", "judge.engine=endpoint", f"judge.endpoint={{base_url: {server.base_url}}}"]
    chosen = [word for word in words if not word.startswith("judge")] if kind != "letters" else words
    more = [*written, "judge.model=far-away", "judge.endpoint.retries=0"] if kind != "letters" else []
    assert said in refused("train", *chosen, *more)
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("transcripts*"))
    assert len(server.bodies) <= 3


def test_a_judge_that_was_taught_debates_alone_may_fail_the_probe(
    words: list[str], server: FakeEndpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    server.script = lambda body: reply(body, {"B": -0.1, "A": -3.0}) if "alphabet" in str(body) else opinion(body)
    assert main(["train", *words, "iterations=1", "judge.endpoint.probe=warn"]) == 0
    assert "comes first, and it answered B" in capfd.readouterr().err


@pytest.mark.parametrize(("text", "probe"), [('{"reason": "a", "score": 2}', "refuse"), ("hm", "warn")])
def test_a_judge_that_writes_is_tried_once_and_let_through(
    text: str, probe: str, server: FakeEndpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that cannot be read only where that is asked for."""
    from rostrum.launch import checks
    from rostrum.rewards.judges import rating

    server.script = lambda body: reply(body, None, (f"```json\n{text}\n```",))
    endpoint = {"base_url": server.base_url, "cache": None, "probe": probe}
    judge = rating.Settings(kind="rating", name="j", model="m", prompts="chat", engine="endpoint", endpoint=endpoint)
    checks.probe(judge, None)
    assert len(server.bodies) == 1 and "door" in server.bodies[0]["messages"][0]["content"]
    assert ("it wrote" in capfd.readouterr().err) is (probe == "warn")


def test_whoever_makes_the_judge_unreadable_pays_and_whoever_met_a_failure_does_not(
    words: list[str], server: FakeEndpoint, tmp_path: Path
) -> None:
    """On some debates the server finds neither letter, on others it fails; the rest it judges."""

    def script(body: dict[str, Any]) -> Answer:
        text = str(body)
        kind = 2 if "alphabet" in text else len(text) // 2 % 3
        return (reply(body, {"Both": -0.1, "Well": -3.0}), error(500), opinion(body))[kind]

    server.script = script
    assert main(["train", *words, "iterations=1", "judge.endpoint.retries=0", "judge.order=given"]) == 0
    lines = read_lines(RunFolder(tmp_path / "run").transcripts)
    by_cause = {
        cause: [line["extra"] for line in lines if line["extra"]["verdict"].get("cause") == cause]
        for cause in ("speech", "failure", None)
    }
    assert all(by_cause.values()), "the debates are of all three kinds"
    for extra in by_cause["speech"]:
        assert set(extra["rewards"]) == {"A", "B"} and set(extra["rewards"].values()) == {-4.0}
        assert extra["verdict"]["zero_sum"] is False and not extra["verdict"]["valid"]
    assert all(extra["rewards"] == {} and "zero_sum" not in extra["verdict"] for extra in by_cause["failure"])
    assert all(sum(extra["rewards"].values()) == pytest.approx(0) for extra in by_cause[None])
    (row,) = read_lines(RunFolder(tmp_path / "run").metrics)
    assert row["spoiled"] == len(by_cause["speech"])
    assert row["invalid"] == len(by_cause["speech"]) + len(by_cause["failure"])


def test_endpoints_are_asked_from_this_process(words: list[str], server: FakeEndpoint) -> None:
    """Also where the run's other judges are on Ray."""
    import ray

    from rostrum.launch.compose import load
    from rostrum.trainer import setup

    config = load([*words, "cluster.judge_workers=2"])
    judge = setup.judge(config.judge, config)
    assert judge.judge([]) == [] and not ray.is_initialized()


def test_what_a_judge_may_cost_does_not_make_it_another(words: list[str]) -> None:
    """Caps, prices and patience may be given anew, also inside lists; what the replies depend on may not."""
    from rostrum.launch import compose, saved
    from rostrum.launch.compose import load, validate

    config = load([*words, "judge.endpoint.spend_cap=1"])
    values = config.model_dump(mode="json")
    both = validate({**values, "heldout_judges": [{**values["judge"], "name": "held-out"}]})
    for key, value in (("spend_cap", "7"), ("retries", "1"), ("cache", "null")):
        for judge in ("judge", "heldout_judges.0"):
            raised = saved.changed(both, [f"{judge}.endpoint.{key}={value}"], allowed=())
            assert raised != both and saved.difference(both, raised) is None
    assert compose.load(["heldout_judges.0.endpoint.spend_cap=7"], both).heldout_judges[0].endpoint.spend_cap == 7
    assert saved.difference(both, compose.load(["judge.endpoint.samples=3"], both)) == "judge.endpoint.samples"
    with pytest.raises(LaunchError, match="cannot be changed"):
        saved.changed(both, ["judge.endpoint.samples=3"], allowed=())


@pytest.mark.parametrize("name", ["cache/replies.sqlite", "run/spending.sqlite"])
@pytest.mark.parametrize("command", ["train", "audit"])
def test_a_damaged_file_of_replies_or_dollars_is_named(
    command: str, name: str, words: list[str], server: FakeEndpoint, tmp_path: Path, refused: Refused
) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 99)
    assert f"{path} cannot be read" in refused(command, *words)
    assert not server.bodies, "nothing was paid for"
