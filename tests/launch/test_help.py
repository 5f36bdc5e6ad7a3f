"""Help: what every command does, with an example, at once."""

import subprocess
import sys

import pytest

from rostrum.launch.cli import COMMANDS, main


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_explains_itself_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"example:\n  rostrum {name}" in text
    command = next(command for command in COMMANDS if command.name == name)
    assert " ".join(command.details.split()) in " ".join(text.split())


def test_the_list_of_commands_says_what_each_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    names = {"train", "evaluate", "report", "audit", "debate", "demo", "tournament", "questions", "export"}
    names |= {"plan", "verify", "ablate", "study", "judge", "build-models", "export-logs", "compare", "runs", "config"}
    names |= {"warmstart", "people", "labels"}
    assert {command.name for command in COMMANDS} == names
    for command in COMMANDS:
        assert f"{command.name} {command.summary}" in text


def test_train_lists_the_groups_and_their_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert any(line[:1] == ["algorithm"] and {"dpo", "ppo", "rae", "rloo"} <= {*line} for line in lines)
    protocols = {
        "consultancy",
        "debate",
        "double_consultancy",
        "ensembled_consultancy",
        "expert",
        "interactive",
        "khan",
    }
    protocols |= {"naive", "simultaneous"}
    assert any(line[:1] == ["protocol"] and protocols <= {*line} for line in lines)


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom rostrum.launch.cli import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'ray', 'hydra', 'pandas', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["trian"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "rostrum: There is no command trian: did you mean train?\n"
