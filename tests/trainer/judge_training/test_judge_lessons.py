"""What judges are taught from and how it is weighed: losses by hand, relabelling, splits, temperatures."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy.special import expit

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol, Side, Speech, Transcript
from rostrum.rewards.calibration import FLATTEST, Calibration, log_loss
from rostrum.rewards.calibration import fit_readings as fit
from rostrum.rewards.labelled import Labelled
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.judge_training.batches import IGNORED, ClassCollator, VerdictCollator, class_loss, verdict_loss
from rostrum.trainer.judge_training.data import JudgeTrainingError, Reading, columns_of, readings_of, split_by_story
from rostrum.trainer.judge_training.figures import mean_probability
from rostrum.trainer.judge_training.learning import KeepBest
from rostrum.trainer.models import loading

PROMPTS = load_prompts("testimony")
TOKENIZER = loading.load_tokenizer("embedded/judge")
FORMAT = make_format(TOKENIZER, [TOKENIZER.eos_token_id])


def debates(count: int = 6, target: float = 1.0) -> list[Labelled]:
    """Debates of two speeches, about a story each, in alternating seatings."""
    found = []
    for index, question in enumerate(TestimonyWorld(train=count, heldout=0).questions("train")):
        said = [("in the attic anna saw it", Side.A), ("in the garage leo saw it", Side.B)]
        speeches = tuple(Speech(side.value, side, turn, text, text, 6) for turn, (text, side) in enumerate(said))
        transcript = Transcript(question, Protocol("debate", rounds=1), question.answers, False, speeches)
        found.append(Labelled(transcript, target) if index % 2 else Labelled(transcript.swapped(), 1 - target))
    return found


def readings(head: str, of: Sequence[Labelled]) -> list[Reading]:
    return readings_of(of, PROMPTS, FORMAT, head, 512)


def test_the_loss_of_a_said_verdict_by_hand() -> None:
    """A gold label, and one of .25: 3 and .25 · .5 + .75 · 3, over two readings."""
    log_probs = torch.tensor([[0.0, -1.0, -2.0], [0.0, -0.5, 0.0], [0.0, -3.0, 0.0]])
    assert verdict_loss(log_probs, torch.tensor([1.0, 0.25, 0.75])).item() == pytest.approx((3 + 0.125 + 2.25) / 2)


def test_the_loss_of_two_classes_by_hand() -> None:
    """Logits 0 and ln 3 are probabilities of one and three quarters."""
    found = class_loss(torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.8, 0.2]]), torch.ones(1)).item()
    assert found == pytest.approx(-0.8 * math.log(0.25) - 0.2 * math.log(0.75))


def test_only_the_verdict_is_learned_from() -> None:
    gold, soft = Reading((5, 6, 7), ((8,), (9, 4)), 0.0), Reading((5, 6), ((8,), (9, 4)), 0.75)
    batch = VerdictCollator(pad=0)(list(columns_of([gold, soft])))
    assert batch["input_ids"].tolist() == [[5, 6, 7, 9, 4], [5, 6, 8, 0, 0], [5, 6, 9, 4, 0]]
    x = IGNORED
    assert batch["labels"].tolist() == [[x, x, x, 9, 4], [x, x, 8, x, x], [x, x, 9, 4, x]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
    assert batch["weights"].tolist() == [1.0, 0.75, 0.25]
    both = VerdictCollator(pad=0)(list(columns_of([gold])), both=True)
    assert both["input_ids"].tolist() == [[5, 6, 7, 8, 0], [5, 6, 7, 9, 4]]


def test_classes_are_probabilities_of_a_and_b() -> None:
    batch = ClassCollator(pad=0)(list(columns_of([Reading((5, 6), ((), ()), 0.75), Reading((5,), ((), ()), 0.0)])))
    assert batch["input_ids"].tolist() == [[5, 6], [5, 0]] and batch["targets"].tolist() == [[0.75, 0.25], [0.0, 1.0]]


@pytest.mark.parametrize("head", ["answer", "letter", "classifier"])
def test_relabelled_debates_give_the_same_readings_the_other_way_round(head: str) -> None:
    of = debates(target=0.7)
    as_they_are, relabelled = readings(head, of), readings(head, [debate.swapped() for debate in of])
    for (a, b), (c, d) in zip(_pairs(as_they_are), _pairs(relabelled), strict=True):
        assert (a, b) == (replace(d, target=pytest.approx(d.target)), replace(c, target=pytest.approx(c.target)))
        assert a.target + b.target == pytest.approx(1)
        assert a.prompt != b.prompt
        if head == "answer":
            assert a.choices == b.choices[::-1]
        else:
            assert a.choices == b.choices


def _pairs(rows: list[Reading]) -> list[tuple[Reading, Reading]]:
    return list(zip(rows[::2], rows[1::2], strict=True))


def test_a_reading_that_does_not_fit_is_an_error_and_never_cut() -> None:
    longest = max(reading.length for reading in readings("answer", debates()))
    assert readings_of(debates(), PROMPTS, FORMAT, "answer", longest)
    with pytest.raises(JudgeTrainingError, match=f"{longest} tokens and the judge reads {longest - 1}"):
        readings_of(debates(), PROMPTS, FORMAT, "answer", longest - 1)


def test_held_out_debates_share_no_story_with_the_others() -> None:
    few, many = debates(40), debates(80)
    learned, heldout = split_by_story([*few, *few], 0.25, seed=0)
    assert not stories(learned) & stories(heldout) and len(learned) + len(heldout) == 80
    assert 0.1 < len(heldout) / 80 < 0.45
    assert stories(heldout) <= stories(split_by_story(many, 0.25, seed=0)[1]), "more debates move no story"
    assert stories(heldout) != stories(split_by_story(few, 0.25, seed=1)[1])


def stories(of: Sequence[Labelled]) -> set[str]:
    return {debate.transcript.question.story_id for debate in of}


def test_one_story_cannot_be_split() -> None:
    with pytest.raises(JudgeTrainingError, match="2 debates are about 1 story, too few"):
        split_by_story(debates(1) * 2, 0.25, seed=0)


def test_the_log_loss_by_hand() -> None:
    """Probabilities of one half and three quarters for targets of 1 and .2."""
    expected = -(math.log(0.5) + 0.2 * math.log(0.75) + 0.8 * math.log(0.25)) / 2
    assert log_loss([0.0, math.log(3)], [1.0, 0.2]) == pytest.approx(expected)


def test_a_planted_temperature_and_bias_are_found() -> None:
    z = np.linspace(-6, 6, 50)
    found = fit(z, expit((z - 0.7) / 2.5))
    assert (found.temperature, found.bias) == (pytest.approx(2.5, abs=1e-3), pytest.approx(0.7, abs=1e-3))
    assert found.temper([3.2]) == pytest.approx([1.0], abs=1e-3)


def test_the_fit_is_that_of_a_logistic_regression() -> None:
    draw = np.random.default_rng(0)
    z = draw.normal(0, 3, 400)
    labels = (draw.random(400) < expit((z + 0.5) / 1.7)).astype(float)
    found, reference = fit(z, labels), sm.Logit(labels, sm.add_constant(z)).fit(disp=0).params
    assert 1 / found.temperature == pytest.approx(reference[1], rel=1e-3)
    assert -found.bias / found.temperature == pytest.approx(reference[0], abs=1e-3)


def test_judges_beyond_calibration_get_the_ends_of_the_scale() -> None:
    z = np.array([-2.0, -1.0, 1.0, 2.0])
    assert fit(z, z > 0).temperature < 0.1, "always right"
    assert fit(z, z < 0).temperature == pytest.approx(1 / FLATTEST), "always wrong: never turned round"
    assert Calibration(temperature=2.0).temper(z) == pytest.approx(z / 2)


def test_both_orders_are_averaged_for_the_seat_not_the_slot() -> None:
    """In the second reading the answer of side A is shown as B."""
    logit = math.log(3)
    assert mean_probability([logit, -logit, logit, logit]) == pytest.approx([0.75, 0.5])


class _Control:
    should_training_stop = False


class _State:
    epoch = 0.0

    def __init__(self, step: int) -> None:
        self.global_step = step


def test_the_best_weights_are_kept_and_patience_ends(tmp_path: object) -> None:
    model, control = torch.nn.Linear(1, 1), _Control()
    keeper = KeepBest(model, tmp_path / "best.safetensors", patience=2)  # type: ignore[operator]
    stopped = []
    for step, loss in enumerate([3.0, 2.0, 2.5, 2.2, 1.0]):
        torch.nn.init.constant_(model.weight, step)
        keeper.on_evaluate(None, _State(step), control, {"eval_loss": loss, "eval_accuracy": 0.5})
        stopped.append(control.should_training_stop)
        if control.should_training_stop:
            break
    keeper.restore()
    assert stopped == [False, False, False, True]
    assert model.weight.item() == 1.0 and keeper.best == keeper.history[1]


def test_weighted_readings_by_hand() -> None:
    """A reading of weight .5 that costs 3, and one of weight 1 that costs 1: 2.5 over 1.5."""
    heavy, light = Reading((5,), ((8,), (9,)), 0.25), Reading((5,), ((8,), (9,)), 1.0, weight=0.5)
    batch = VerdictCollator(pad=0)(list(columns_of([light, heavy])))
    assert batch["weights"].tolist() == [0.5, 0.25, 0.75]
    said = verdict_loss(torch.tensor([[-3.0], [-1.0], [-1.0]]), batch["weights"])
    assert said.item() == pytest.approx(2.5 / 1.5)
    classes = ClassCollator(pad=0)(list(columns_of([light, heavy])))
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    expected = (0.5 * math.log(4) + math.log(2)) / 1.5
    assert class_loss(logits, classes["targets"], classes["weights"]).item() == pytest.approx(expected)


def test_a_weight_of_one_changes_no_bit() -> None:
    draw = torch.Generator().manual_seed(0)
    for _ in range(200):
        logits, p = torch.randn(7, 2, generator=draw), torch.rand(7, generator=draw)
        targets = torch.stack([p, 1 - p], dim=1)
        unweighted = -(logits.log_softmax(-1) * targets).sum(-1).mean()
        assert class_loss(logits, targets, torch.ones(7)) == unweighted


def test_equal_weights_change_nothing_and_a_relabelled_debate_keeps_its_own() -> None:
    of = [replace(debate, weight=0.3) for debate in debates(4, target=0.7)]
    assert {reading.weight for reading in readings("answer", of)} == {0.3}
    plain, weighed = (VerdictCollator(0)(list(columns_of(readings("answer", part)))) for part in (debates(4, 0.7), of))
    log_probs = -torch.rand(plain["labels"].shape, generator=torch.Generator().manual_seed(0))
    told = [verdict_loss(log_probs, batch["weights"]).item() for batch in (plain, weighed)]
    assert told[0] == pytest.approx(told[1])
