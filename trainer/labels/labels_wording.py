"""What was found about labels, in sentences."""

from collections.abc import Sequence

from rostrum.trainer.labels.labels_summary import About, Best, BudgetSummary, CellSummary, FrontPoint
from rostrum.trainer.report.wording import percent, percent_range


def dollars(amount: float) -> str:
    """Return an amount: "$16", "$1,024", "$0.10", "$0.005"."""
    if amount == round(amount):
        return f"${amount:,.0f}"
    text = f"{amount:,.6f}".rstrip("0")
    return f"${text}0" if len(text.partition(".")[2]) == 1 else f"${text}"


def part(share: float) -> str:
    """Return a share of a budget: "25 %"."""
    return f"{100 * share:.3g}\N{NO-BREAK SPACE}%"


def parts(low: float, high: float) -> str:
    """Return an interval of shares of a budget: "from 25 to 50 %"."""
    return f"from {100 * low:.3g} to {part(high)}"


def of_budget(budget: float, cells: Sequence[CellSummary], best: Best | None, about: About) -> str:
    """Return the answer for one budget."""
    if best is None:
        return f"At {dollars(budget)} nothing was measured."
    own = {cell.share: cell.figures["accuracy"] for cell in cells}
    figure = own[best.recommended if best.shown else best.share]
    right = f"{percent(figure.estimate)} ({percent_range(figure.low, figure.high)})"
    said = f"At {dollars(budget)} {_advice(best, about)}"
    if not best.shown:
        return f"{said}; accuracy was highest, {right}, with {part(best.share)} spent on them."
    said += f": accuracy is then {right}"
    if best.recommended == best.share:
        return f"{said}."
    most = percent(own[best.share].estimate)
    return f"{said}; it was highest with {part(best.share)}, {most}, which is not shown to be better."


def _advice(best: Best, about: About) -> str:
    if not best.shown and len(best.left) < len(best.worse_p):
        return f"neither nothing nor all of it spent on {about.dear.name} labels was shown to be worse"
    if not best.shown:
        return f"no share spent on {about.dear.name} labels was shown to be better than another"
    left = f"95\N{NO-BREAK SPACE}% interval {parts(best.low, best.high)}"
    if best.low == best.high:
        left = "every other share tried was shown to be worse"
    return f"spend {part(best.recommended)} on {about.dear.name} labels ({left})"


def of_price(price: float, budgets: Sequence[BudgetSummary], about: About) -> str:
    """Return the answer for one price in one sentence: where money goes at each budget, and whether it helps."""
    groups: list[tuple[str, list[float]]] = []
    for budget in budgets:
        best = budget.best.get("accuracy")
        said = "nothing was measured" if best is None else _advice(best, about)
        if groups and groups[-1][0] == said:
            groups[-1][1].append(budget.budget)
        else:
            groups.append((said, [budget.budget]))
    told = "; ".join(f"at {_listed(amounts)} {said}" for said, amounts in groups)
    with_price = f"With {about.cheap.name} labels at {dollars(price)}"
    return f"{with_price}, {told}{_helped(budgets)}." if told else f"{with_price}, nothing was measured."


def _helped(budgets: Sequence[BudgetSummary]) -> str:
    """Return what is to be said where the judge was not shown to gain, or to lose by some labels."""
    over = [cell.over_untaught["accuracy"] for b in budgets for cell in b.cells if "accuracy" in cell.over_untaught]
    if not over or any(one.shown == "better" for one in over):
        return ""
    worse = sum(one.shown == "worse" for one in over)
    also = f", and {worse} of {len(over)} are shown to be less often right" if worse else ""
    return f"; no judge so taught was shown to be right more often than the judge as it was{also}"


def _listed(amounts: Sequence[float]) -> str:
    """Return "$16", "$16 and $64", or "$16, $64 and $256"."""
    words = [dollars(amount) for amount in amounts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def of_front(points: Sequence[FrontPoint]) -> str:
    """Return how far more money was shown to help."""
    shown = [point for point in points if point.lead and point.lead.shown == "better"]
    if not shown:
        return "No judge was shown to be right more often than the best of smaller budgets."
    last = shown[-1]
    figure = f"{percent(last.accuracy.estimate)} ({percent_range(last.accuracy.low, last.accuracy.high)})"
    said = "The dearest judge shown to be right more often than the best of smaller budgets is one taught for"
    beyond = "" if last is points[-1] else " What is dearer on the front is not shown to be better."
    return f"{said} {dollars(round(last.spent, 2))}, with accuracy {figure}.{beyond}"
