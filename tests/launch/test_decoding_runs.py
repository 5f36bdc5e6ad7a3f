"""More at inference from the command line: evaluated on a saved run, refused in training, the same on Ray."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rostrum.envs.questions.base import load_questions
from rostrum.envs.transcripts import from_json
from rostrum.envs.types import Transcript
from rostrum.launch import compose, estimate, saved
from rostrum.launch.cli import main
from rostrum.launch.commands.evaluate import RECONSIDERED
from rostrum.rewards.judges import JudgeError
from rostrum.trainer import setup
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.arena import Plan, play
from rostrum.trainer.rollouts.schedule import alone, both_seatings
from rostrum.trainer.types import Policy


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def debates(run: Path) -> list[Transcript]:
    lines = [json.loads(line) for line in (run / "debates.jsonl").read_text("utf-8").splitlines()]
    found = [from_json(line["transcript"]) for line in lines]
    return [transcript for transcript in found if isinstance(transcript, Transcript)]


def table(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "verdicts.parquet")


def spent(run: Path) -> pd.Series:
    return table(run)["sampled_texts"].rename("speeches")


def test_a_run_is_evaluated_with_more_at_inference(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And its parts are not mixed with those of another way to speak."""
    few = ["questions.heldout=2", "evaluation.attacks=0"]
    assert main(["evaluate", f"run={run}", *few]) == 0
    plain = debates(run)
    assert spent(run).equals(table(run)["speeches"]), "plainly, each speech is one text"
    assert main(["evaluate", f"run={run}", *few, "decoding=best_of", "decoding.candidates=3"]) == 0
    chosen = debates(run)
    assert spent(run).equals(3 * table(run)["speeches"])
    assert not any("base sampled_texts" in t.provenance for t in chosen), "the base opponent speaks plainly"
    assert len(chosen) == len(plain) and chosen != plain
    lengths = run / "lengths" / "base.json"
    matched = ["decoding=length_matched", f"decoding.lengths={lengths}", "decoding.candidates=2"]
    assert main(["evaluate", f"run={run}", *few, *matched]) == 0
    trained = table(run)["checkpoint"] != "base"
    assert spent(run)[trained].equals(table(run)["speeches"][trained]), "the trained policy speaks as it likes"
    assert spent(run)[~trained].equals(2 * table(run)["speeches"][~trained])
    assert (table(run)["preference_readings"] == 0).all()


def test_training_with_it_is_refused(refused: Callable[..., str], tmp_path: Path, small: list[str]) -> None:
    for choice in ("best_of", "refine", "length_matched"):
        words = ["decoding.words=3"] if choice == "length_matched" else []
        said = refused("train", *small, f"decoding={choice}", *words, f"output={tmp_path}/new")
        assert f"decoding={choice} is for evaluations" in said and "rostrum evaluate run=RUN" in said


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["decoding=best_of", "decoding.candidates=1"], "decoding.candidates cannot be 1"),
        (["decoding=length_matched"], "give decoding.words=N or decoding.lengths="),
        (["decoding=best_of", "decoding.judge=nobody"], "There is no decoding.judge=nobody: choose among"),
        (["decoding=more"], "There is no decoding=more: choose among best_of, length_matched, plain, refine"),
        (["decoding=length_matched", "decoding.lengths=none.json"], "none.json cannot be read as lengths"),
        (["protocol=interactive"], "protocol cannot be changed after training"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    refused: Callable[..., str], run: Path, overrides: list[str], message: str
) -> None:
    earlier = run / "evaluation" / "config.yaml"
    compose.save(saved.run_config(run), earlier)
    before = earlier.read_bytes()
    assert message in refused("evaluate", f"run={run}", *overrides)
    assert earlier.read_bytes() == before, "an earlier evaluation is not given up for a request that is refused"


def test_a_prompt_set_without_the_templates_is_refused(configure: Callable[..., Any]) -> None:
    from rostrum.envs.prompts.judge_prompts import PromptError

    with pytest.raises(PromptError, match=r"has no critique\.j2: add that template"):
        setup.decoding(configure("decoding=refine", "debater.prompts=prose"))
    setup.decoding(configure("decoding=refine", "debater.prompts=chat"))


def test_another_judge_chooses_if_it_is_named(run: Path) -> None:
    config = saved.run_config(run)
    _, own = setup.decoding(compose.load(["decoding=best_of"], config)).way.args  # candidates, and who chooses
    assert own == config.judge.model_copy(update={"order": "both"})
    overrides = ["decoding=best_of", "decoding.judge=testimony-heldout", "decoding.judge.order=given"]
    _, chosen = setup.decoding(saved.changed(config, overrides, RECONSIDERED)).way.args
    assert (chosen.name, chosen.order) == ("heldout-judge", "both")
    assert compose.load(["judge.audit=warn"], config).judge.audit == "warn", "a key that is called as a group is"


def test_critiques_are_chosen_by_who_can_choose_them(run: Path) -> None:
    config = saved.run_config(run)

    def chosen(*overrides: str) -> Any:
        """How many critiques, who chooses, and whether that is by which critique helps most."""
        return setup.decoding(compose.load(["decoding=refine", *overrides], config)).way.args

    count, judge, by_help = chosen()
    assert (count, judge.name, judge.order, by_help) == (2, "weak-judge", "both", False)
    assert chosen("judge.prompts=chat", "judge.choice=letter")[2] is True
    assert chosen("judge.prompts=chat", "judge.choice=letter", "decoding.choose=speech")[2] is False
    assert chosen("decoding.critiques=1") == (1, None, False)
    with pytest.raises(JudgeError, match="weak-judge cannot say which critique helps most"):
        chosen("decoding.choose=helpfulness")


def test_what_is_asked_at_inference_is_in_the_estimate(configure: Callable[..., Any]) -> None:
    """Two debates a question, of four speeches each, by the base and by one checkpoint; and that one against the base
    with two speeches of its own in each."""
    at_endpoint = ["judge=endpoint", "questions.heldout=5", "heldout_judges=none"]

    def requests(*overrides: str) -> int:
        return estimate.evaluation(configure(*at_endpoint, *overrides)).requests

    plain = requests()
    own = 5 * 2 * (4 + 4 + 2)
    assert requests("decoding=best_of", "decoding.candidates=3") - plain == 2 * 3 * own, "in both orders"
    assert requests("decoding=length_matched", "decoding.words=6") == plain
    assert requests("decoding=refine", "decoding.critiques=1", "debater.prompts=chat") == plain
    assert requests("protocol=interactive") - plain == 3 * 5 * 2


@pytest.fixture(scope="module")
def ray_runtime() -> Iterator[None]:
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.exhaustive
def test_the_same_debates_are_played_here_and_by_a_worker_on_ray(ray_runtime: None, tmp_path: Path) -> None:
    """The embedded models, with a judge that asks and one that chooses."""
    overrides = ["protocol=interactive", "decoding=best_of", "decoding.candidates=2", "questions.heldout=3"]
    played: list[Sequence[Transcript]] = []
    for workers in (0, 1):
        config = compose.load([*overrides, f"output={tmp_path}/run", f"cluster.rollout_workers={workers}"])
        workers = setup.rollout_workers(config)
        policy = Policy("checkpoint", 0, str(loading.resolve(config.debater.model)))
        questions = load_questions(config.questions).questions("heldout")
        matchups = both_seatings(questions, alone(config.protocol, {policy.name: policy}))
        played.append(play(workers, Plan(matchups, [policy], 3, 7), "playing").finished)
        workers.close()
    assert played[0] == played[1] and len(played[0]) == 6
    assert all(len(t.inquiries) == 1 and t.provenance["checkpoint sampled_texts"] == 8 for t in played[0])
