"""labels.json and the table of cells: what was planted comes out, in figures and in sentences."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from planted_sweep import ABOUT, BUDGETS, SHARES, sweep

from rostrum.trainer.labels import labels_wording as wording
from rostrum.trainer.labels.labels_summary import LabelsSummary
from rostrum.trainer.labels.summarise_labels import COLUMNS, rows, summarise, write
from rostrum.trainer.labels.tested_judges import MEASURES

ARMS = ("finetune", "shots", "shots+finetune")


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    return sweep(arms=ARMS, seeds=5, pool=900, stories=400)


@pytest.fixture(scope="module")
def summary(tables: tuple[pd.DataFrame, pd.DataFrame]) -> LabelsSummary:
    return summarise(*tables, ABOUT)


def test_the_figures_of_a_cell_are_those_of_its_verdicts(
    summary: LabelsSummary, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    (price,) = summary.prices
    cell = price.budgets[1].cells[2]
    assert (cell.budget, cell.share, cell.cheap, cell.dear, cell.spent, cell.exhausted) == (64, 0.5, 320, 32, 64, False)
    outcomes, _ = tables
    own = outcomes[(outcomes["arm"] == "finetune") & (outcomes["cheap"] == 320) & (outcomes["dear"] == 32)].dropna()
    base, trained = (own.loc[own["debaters"] == name, "p"] for name in ("base", "trained"))
    figures = {name: figure.estimate for name, figure in cell.figures.items()}
    assert figures == pytest.approx(
        {"accuracy": (base > 0.5).mean(), "hackability": (trained > 0.5).mean(), "brier": ((1 - base) ** 2).mean()}
    )
    assert all(figure.low < figure.estimate < figure.high for figure in cell.figures.values())  # type: ignore[operator]
    untaught = outcomes[(outcomes["arm"] == "none") & (outcomes["debaters"] == "base")]["p"].dropna()
    assert summary.untaught["accuracy"].estimate == pytest.approx((untaught > 0.5).mean())
    over = cell.over_untaught["accuracy"]
    assert over.estimate == pytest.approx((base > 0.5).mean() - (untaught > 0.5).mean(), abs=0.005)
    assert over.shown == "better" and cell.over_untaught["brier"].shown == "better"
    assert cell.over_untaught["brier"].estimate < 0, "less is better"
    assert (summary.questions, summary.stories, summary.debates) == (400, 400, {"base": 800, "trained": 800})
    assert price.budgets[3].cells[0].exhausted and price.budgets[3].cells[0].cheap == 900


def test_the_planted_regimes_come_out(summary: LabelsSummary) -> None:
    """With 64 dollars a mixture is best (84 % against 72 and 79); with 1,024 nearly all is gold at 80 % too."""
    best = [budget.best["accuracy"] for budget in summary.prices[0].budgets]
    assert (best[1].share, best[1].regime) == (0.5, "mixed") and best[1].low <= 0.5 <= best[1].high
    assert (best[3].recommended, best[3].high) == (1.0, 1.0) and best[3].left[-2:] == [0.8, 1.0]
    assert set(best[0].worse_p) == {"0", "0.2", "0.5", "0.8", "1"}
    assert all(budget.best["brier"].share == budget.best["accuracy"].share for budget in summary.prices[0].budgets[1:2])


def test_sentences_say_what_is_shown_and_no_more(summary: LabelsSummary) -> None:
    (answer,) = summary.sentences
    budgets = summary.prices[0].budgets
    assert answer.startswith("With weak labels at $0.10, at $16 ")
    assert "at $64 spend 50\N{NO-BREAK SPACE}% on gold labels (" in answer and answer.endswith(".")
    assert re.match(r"At \$64 spend 50.% on gold labels \(.*\): accuracy is then 8\d\.\d.% \(", budgets[1].sentence)
    for budget in budgets:
        best = budget.best["accuracy"]
        assert ("no share" in budget.sentence or "neither" in budget.sentence) == (not best.shown)
        assert (f"interval from {100 * best.low:g} to" in budget.sentence) == (best.shown and best.low < best.high)
    nothing = summarise(*sweep(budgets=(4.0, 8.0), worth=0, seeds=2, stories=40), ABOUT)
    assert nothing.sentences == [
        "With weak labels at $0.10, at $4 and $8 no share spent on gold labels was shown to be better than another; "
        "no judge so taught was shown to be right more often than the judge as it was."
    ]
    assert "accuracy was highest, " in nothing.prices[0].budgets[0].sentence
    assert nothing.prices[0].front_sentence.startswith("No judge was shown")


def test_noise_gets_nothing_and_of_equal_sources_the_cheaper_gets_all() -> None:
    outcomes, cells = sweep(budgets=(64.0,), seeds=4)
    share = {(row.cheap, row.dear): row.share for row in cells.itertuples()}
    of_row = [share.get((cheap, dear), 0.0) for cheap, dear in zip(outcomes["cheap"], outcomes["dear"], strict=True)]
    right = (outcomes["p"] > 0.5).astype(float).where(outcomes["p"].notna())
    for ends, recommended in ((1, 1.0), (0, 0.0)):
        # the further from the planted best share, the more questions are got wrong besides
        wrong = 5 * np.abs(np.array(of_row) - ends) > outcomes["question"].str[1:].astype(int) % 8
        planted = right.where(~wrong, 0.0)
        best = summarise(outcomes.assign(p=0.25 + planted / 2), cells, ABOUT).prices[0].budgets[0].best["accuracy"]
        assert best.recommended == recommended and best.shown and best.regime != "mixed"


def test_other_arms_stand_beside_plain_fine_tuning_with_the_same_money(summary: LabelsSummary) -> None:
    arms = summary.prices[0].arms
    assert {(row.cell.arm, row.cell.share) for row in arms} == {("shots", 0.0)} | {
        ("shots+finetune", s) for s in SHARES
    }
    assert len(arms) == len(BUDGETS) * (1 + len(SHARES))
    plain = {(c.budget, c.share): c.figures["accuracy"].estimate for b in summary.prices[0].budgets for c in b.cells}
    for row in arms:
        gap = row.cell.figures["accuracy"].estimate - plain[row.cell.budget, row.cell.share]  # type: ignore[operator]
        assert row.over_plain["accuracy"].estimate == pytest.approx(gap)
        assert row.over_plain["accuracy"].p_adjusted >= row.over_plain["accuracy"].p  # type: ignore[operator]
    assert any(row.cell.arm == "shots" and row.over_plain["accuracy"].shown == "worse" for row in arms)


def test_the_front_begins_with_the_judge_as_it_was_and_rises(summary: LabelsSummary) -> None:
    front = summary.prices[0].front
    assert (front[0].arm, front[0].spent, front[0].lead) == ("none", 0, None)
    spent, accuracy = [point.spent for point in front], [point.accuracy.estimate for point in front]
    assert spent == sorted(spent) and accuracy == sorted(accuracy, key=float)  # type: ignore[arg-type]
    assert any(point.lead and point.lead.shown == "better" for point in front)


def test_what_is_written_is_read_again(summary: LabelsSummary, tmp_path: Path) -> None:
    write(tmp_path, summary)
    again = LabelsSummary.read(tmp_path)
    assert again.stored() == summary.stored() and again.prices[0].budgets[1].best["accuracy"].regime == "mixed"
    table = pd.read_csv(tmp_path / "cells.csv")
    assert len(table) == len(BUDGETS) * (2 * len(SHARES) + 1) and set(table) == set(COLUMNS)
    stored = pyarrow.parquet.read_table(tmp_path / "cells.parquet")
    assert all(field.metadata[b"description"] for field in stored.schema)
    row = rows(summary).query("budget == 64 and share == .5 and arm == 'finetune'").iloc[0]
    assert (
        row["best"]
        and row["left"]
        and row["accuracy"] == summary.prices[0].budgets[1].cells[2].figures["accuracy"].estimate
    )
    assert {f"{measure.name}_low" for measure in MEASURES} < set(table)


def test_the_order_of_rows_changes_nothing(summary: LabelsSummary, tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    shuffled = (table.sample(frac=1, random_state=1) for table in tables)
    assert summarise(*shuffled, ABOUT).model_dump() == summary.model_dump()


def test_a_trial_without_an_outcome_or_a_valid_verdict_is_no_figure(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    outcomes, cells = tables
    gone = (outcomes["arm"] == "finetune") & (outcomes["dear"] == 64)
    invalid = outcomes.assign(p=outcomes["p"].mask((outcomes["arm"] == "finetune") & (outcomes["dear"] == 12)))
    found = summarise(invalid[~gone & (outcomes["arm"] != "none")], cells, ABOUT)
    budget = found.prices[0].budgets[1]
    assert [cell.figures["accuracy"].estimate is None for cell in budget.cells] == [False, True, False, False, True]
    assert set(budget.best["accuracy"].worse_p) == {"0", "0.5", "0.8"} and not budget.cells[0].over_untaught
    assert found.untaught["accuracy"].estimate is None and found.prices[0].front[0].arm != "none"


def test_prices_come_with_the_source_s_own_first() -> None:
    found = summarise(*sweep(prices=(0.01, 0.1, 0.5), budgets=(16.0,), stories=30), ABOUT)
    assert [price.price for price in found.prices] == [0.1, 0.01, 0.5]
    assert found.sentences[2].startswith("With weak labels at $0.50, ")


def test_amounts_and_shares_in_words() -> None:
    assert [wording.dollars(x) for x in (16, 1024, 0.1, 0.005, 2.5)] == ["$16", "$1,024", "$0.10", "$0.005", "$2.50"]
    assert (
        wording.part(0.125) == "12.5\N{NO-BREAK SPACE}%" and wording.parts(0, 1) == "from 0 to 100\N{NO-BREAK SPACE}%"
    )
