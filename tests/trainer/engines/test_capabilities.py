"""Judges on several GPUs or with quantized weights, what is refused, what
makes another run or judge, and what is counted."""

from collections.abc import Sequence

import pytest

from rostrum.launch.compose import ConfigError, load
from rostrum.trainer.engines import engine_settings, settings_by_name
from rostrum.trainer.setup import judge_engine
from rostrum.trainer.store.judge_identity import difference, fingerprint, identity
from rostrum.trainer.store.provenance import config_hash

VLLM = ("judge.engine=vllm", "judge.dtype=bfloat16")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ["judge.tensor_parallel=2"],
            "engine=transformers holds a model whole, and tensor_parallel=2 splits it over GPUs: leave it out, or "
            "choose engine=vllm",
        ),
        (
            ["judge.quantization=fp8"],
            "engine=transformers has no quantization=fp8 (it has none): leave it out, or choo",
        ),
        ([*VLLM, "judge.quantization=fp9"], "engine=vllm has no quantization=fp9 (it has awq, "),
        (["judge.engine=vllm", "judge.quantization=fp8"], "quantization=fp8 computes in 16 bits: set dtype=bfloat16"),
        (
            ["judge=endpoint", "judge.model=m", "judge.quantization=fp8"],
            "behind an endpoint the server decides them, so leave both out",
        ),
        (["judge.tensor_parallel=0"], "judge.tensor_parallel cannot be 0"),
        (
            [*VLLM, "judge.tensor_parallel=4", "cluster.judge_workers=1", "cluster.gpus_per_judge=1"],
            "weak-judge is spread over 4 GPUs (tensor_parallel), and a judge's worker has fewer: set "
            "cluster.gpus_per_judge=4",
        ),
    ],
)
def test_what_an_engine_cannot_do_is_one_sentence(overrides: Sequence[str], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(overrides)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_the_settings_of_an_engine_say_what_it_can() -> None:
    made = engine_settings("vllm", tensor_parallel=2, quantization="awq", dtype="bfloat16")
    assert (made.tensor_parallel, made.quantization) == (2, "awq")
    for name, kind in settings_by_name().items():
        can = {"splits": kind.splits_models, "quantizes": bool(kind.quantizations)}
        assert set(can.values()) == {name == "vllm"}


def test_quantization_makes_another_judge_and_the_number_of_gpus_does_not() -> None:
    plain, split = load(VLLM), load([*VLLM, "judge.tensor_parallel=2"])
    quantized = load([*VLLM, "judge.quantization=fp8"])
    assert split.judge.model_dump()["tensor_parallel"] == 2 and quantized.judge.model_dump()["quantization"] == "fp8"
    assert not {"tensor_parallel", "quantization"} & set(load([]).judge.model_dump())
    assert fingerprint(identity(split.judge)) == fingerprint(identity(plain.judge))
    assert config_hash(split) == config_hash(plain) != config_hash(quantized)
    assert difference(identity(plain.judge), identity(quantized.judge)) == "settings"
    made = judge_engine(load([*VLLM, "judge.quantization=fp8", "judge.tensor_parallel=2"]).judge.needs()[0])
    assert (made.quantization, made.tensor_parallel) == ("fp8", 2)
