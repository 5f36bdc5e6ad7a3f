"""labels.html: the answer comes first, what is from records is escaped, and nothing is loaded."""

import csv
from pathlib import Path

import pytest
from planted_sweep import ABOUT, sweep

from rostrum.trainer.labels import labels_page
from rostrum.trainer.labels.labels_summary import LabelsSummary, Source
from rostrum.trainer.labels.summarise_labels import summarise

MARKED = ABOUT.model_copy(
    update={"cheap": Source(name="<i>weak", price=0.1), "dear": Source(name="<i>gold", price=1.0)}
)


@pytest.fixture(scope="module")
def summary() -> LabelsSummary:
    tables = sweep(prices=(0.1, 0.5), budgets=(16.0, 64.0, 1024.0), arms=("finetune", "shots"), stories=60, pool=900)
    return summarise(*tables, MARKED)


@pytest.fixture(scope="module")
def folder(summary: LabelsSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels")
    labels_page.write(path, summary)
    return path


def test_the_answer_comes_first_and_nothing_is_loaded(folder: Path, summary: LabelsSummary) -> None:
    page = (folder / "labels.html").read_text("utf-8")
    lead = page.index('<p class="lead">With &lt;i&gt;weak labels at $0.10, at $16 ')
    assert lead < page.index('<section id="accuracy">') < page.index('<section id="budgets">')
    assert "<i>" not in page and "<b>Planted" not in page and "&lt;b&gt;Planted" in page
    assert "default-src &#39;none&#39;" in page and 'href="http' not in page and "<script" not in page
    for price in summary.prices:
        assert all(budget.sentence.replace("<", "&lt;").replace(">", "&gt;") in page for budget in price.budgets)
    assert "exhausts the pool at 0" in page and "shots alone" in page


def test_each_figure_has_every_number(folder: Path, summary: LabelsSummary) -> None:
    names = sorted(path.name for path in (folder / "figures").glob("*.csv"))
    assert len(names) == 6 and all((folder / "figures" / name).with_suffix(".svg").exists() for name in names)
    (name,) = [name for name in names if name.startswith("accuracy-by") and name.endswith("0-10.csv")]
    rows = list(csv.DictReader((folder / "figures" / name).open(encoding="utf-8", newline="")))
    cells = [cell for budget in summary.prices[0].budgets for cell in budget.cells]
    assert [float(row["accuracy"]) for row in rows[:-1]] == [cell.figures["accuracy"].estimate for cell in cells]
    assert rows[-1]["series"] == "the judge as it was" and rows[0]["series"] == "$16"


def test_the_front_is_stored_in_dollars(folder: Path, summary: LabelsSummary) -> None:
    file = folder / "figures" / "pareto-front-at-0-10.csv"
    rows = list(csv.DictReader(file.open(encoding="utf-8", newline="")))
    assert [float(row["dollars spent"]) for row in rows] == [point.spent for point in summary.prices[0].front]


def test_exhausted_cells_and_leads_that_are_not_shown_are_hollow(summary: LabelsSummary) -> None:
    price = summary.prices[0]
    drawn = labels_page.curves(summary, price, "accuracy")
    assert drawn is not None
    exhausted = sum(cell.exhausted for budget in price.budgets for cell in budget.cells)
    assert exhausted and drawn.parts.count(" hollow") == exhausted
    front = labels_page.front(price)
    assert front is not None
    bought = [point for point in price.front if point.spent]
    assert front.parts.count(" hollow") == sum(not (p.lead and p.lead.shown == "better") for p in bought)
    assert all(f">{amount}<" in front.parts for amount in ("$16", "$64", "$1,024"))


def test_a_sweep_without_a_figure_is_a_page_too(summary: LabelsSummary, tmp_path: Path) -> None:
    outcomes, cells = sweep(budgets=(16.0,), stories=30)
    empty = summarise(outcomes[outcomes["arm"] == "none"], cells, ABOUT)
    labels_page.write(tmp_path, empty)
    assert "nothing was measured" in (tmp_path / "labels.html").read_text("utf-8")
    assert not (tmp_path / "figures").exists() or not list((tmp_path / "figures").iterdir())
