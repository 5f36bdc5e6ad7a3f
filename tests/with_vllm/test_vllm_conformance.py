"""vLLM passes the checks that every engine passes."""

from collections.abc import Callable, Iterator

import pytest

from rostrum.trainer.engines import conformance, engine_settings
from rostrum.trainer.engines.conformance import CHECKS, Subject


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    yield conformance.subject("embedded/debater", engine_settings("vllm", sleep=True), tmp_path_factory.mktemp("it"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_engine_conforms(check: Callable[[Subject], None], subject: Subject) -> None:
    check(subject)
