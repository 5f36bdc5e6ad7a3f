"""A run goes on with the command line that began it, as a job does that is started again; what would change it is
refused."""

from pathlib import Path

import pytest

from rostrum.launch import compose
from rostrum.launch.commands.train import resumed
from rostrum.launch.errors import LaunchError

ELSEWHERE = "cluster.address=10.0.0.2:6379"
BEGUN_WITH = {
    "prompts of one's own": ["debater.prompts={folder}", "judge.prompts={folder}"],
    "a judge that is sent a key": ["judge=endpoint", "judge.model=far-away", "judge.endpoint.base_url=http://far/v1"],
    "an experiment": ["experiment=smollm", "questions.path={folder}", "limits.kl=off"],
    "another cluster": ["cluster=node8", "+cluster.resources.learner={{head_node: 1}}", "algorithm=rloo", "seed=3"],
}


@pytest.mark.parametrize("words", BEGUN_WITH.values(), ids=BEGUN_WITH)
def test_what_began_a_run_goes_on_with_it(words: list[str], tmp_path: Path) -> None:
    run, words = tmp_path / "run", [word.format(folder=tmp_path) for word in words]
    began = compose.load([*words, f"output={run}", "cluster.address=10.0.0.1:6379"])
    compose.save(began, run / "config.yaml")
    cluster = began.cluster.model_copy(update={"address": "10.0.0.2:6379"})
    assert resumed(run, [ELSEWHERE, *words]) == began.model_copy(update={"cluster": cluster})
    for more in ("iterations=99", f"output={tmp_path}/other"):
        with pytest.raises(LaunchError, match=f"leave out what changes {more.split('=')[0]}, or start a new run"):
            resumed(run, [ELSEWHERE, *words, more])


def test_without_those_words_no_key_is_sent_and_no_prompts_are_rendered(tmp_path: Path) -> None:
    run, words = tmp_path / "run", BEGUN_WITH["a judge that is sent a key"]
    compose.save(compose.load([*words, f"output={run}"]), run / "config.yaml")
    for given, key in (words, "OPENAI_API_KEY"), ([], None):
        (model,) = resumed(run, given).judge.needs()
        assert model.endpoint is not None and model.endpoint.key_variable == key
    compose.save(compose.load([f"debater.prompts={tmp_path}", f"output={run}"]), run / "config.yaml")
    with pytest.raises(LaunchError, match=f"say so with debater.prompts={tmp_path}"):
        resumed(run, [ELSEWHERE])
