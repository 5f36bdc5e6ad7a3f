"""How numbers and results are put into words, the same in every part of the page."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rostrum.rewards.significance import FEWEST_STORIES
from rostrum.trainer.evaluation.summary import ArmSummary, Family, Headline, JudgeAccuracy

MISSING = "–"
_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result in words, with an icon of the same meaning so that nothing hangs on colour."""

    word: str
    icon: str
    """Name of an icon in the template: "up", "down", "level" or "unknown"."""


_OUTCOMES: dict[Headline, Outcome] = {
    "raised": Outcome("Raised", "up"),
    "lowered": Outcome("Lowered", "down"),
    "no change shown": Outcome("No change shown", "level"),
    "not tested by itself": Outcome("Not tested by itself", "unknown"),
}


def outcome(headline: Headline | None) -> Outcome:
    """Return the words and icon of a headline."""
    return Outcome("Not measured", "unknown") if headline is None else _OUTCOMES[headline]


def unbroken(sentence: str) -> str:
    """Return a stored sentence with "5 %" and "p < 0.1" kept on one line each, and with true minus signs."""
    sentence = re.sub(r"(?<=\d) (?=%)", _SPACE, sentence)
    sentence = re.sub(r"\bp ([<=]) (?=\d)", rf"p{_SPACE}\1{_SPACE}", sentence)
    return re.sub(r"(?<![\w-])-(?=\d)", _MINUS, sentence)


def percent(share: float | None) -> str:
    """Return a share of one as a percentage with one decimal: .7215 gives "72.2 %" (with a no-break space)."""
    return MISSING if share is None else f"{100 * share:.1f}{_SPACE}%"


def points(change: float | None) -> str:
    """Return a change of a share in signed percentage points, without the unit: -.199 gives "−19.9"."""
    if change is None:
        return MISSING
    text = f"{100 * change:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", _MINUS)


def signed(value: float, digits: int = 0) -> str:
    """Return a signed number: -12.4 gives "−12"; no sign before what rounds to 0."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", _MINUS)


def decimal(value: float | None) -> str:
    """Return a plain number with one decimal."""
    return MISSING if value is None else f"{value:.1f}".replace("-", _MINUS)


def percent_range(low: float | None, high: float | None) -> str:
    """Return an interval of shares: "69.1 to 75.0 %", or nothing where it is not known."""
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}{_SPACE}%"


def points_range(low: float | None, high: float | None) -> str:
    """Return an interval of changes in points: "−3.0 to +5.2", or nothing where it is not known."""
    return "" if low is None or high is None else f"{points(low)} to {points(high)}"


def p_text(p: float) -> str:
    """Return a p-value in a sentence: "= 0.074" or "< 0.001"."""
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"


def p_value(p: float | None) -> str:
    """Return a p-value with two significant decimals, never 0."""
    if p is None:
        return MISSING
    return "<" + _SPACE + "0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def smallest_change(arm: ArmSummary, family: Family) -> str:
    """Return what this many questions could have shown: the arm's minimum detectable change in a sentence."""
    if any(row.n_stories is not None and row.n_stories < FEWEST_STORIES for row in arm.accuracy):
        return f"With fewer than {FEWEST_STORIES} stories no test can reach p < .05: no change could have been shown."
    if arm.minimum_detectable_change is None:
        return "The smallest change these questions could have shown was not computed."
    questions = next((row.n_questions for row in arm.accuracy if row.n_questions is not None), None)
    who = "these questions" if questions is None else f"{questions:,} questions"
    size = f"{100 * arm.minimum_detectable_change:.1f} points"
    alone = ", in a comparison by itself" if family.size > 1 else ""
    return f"Smallest change that {who} could have shown: {size}, up or down (80{_SPACE}% power{alone})."


def other_judges(arm: ArmSummary) -> list[str]:
    """Return what the judges that gave no reward saw, one sentence each."""
    return [f"Held-out judge {row.judge}: {_result(row)}." for row in arm.accuracy if row.role == "held-out"]


def _result(row: JudgeAccuracy) -> str:
    if row.change is None:
        return "not measured"
    interval = points_range(row.low, row.high)
    figures = f"{points(row.change)} points" + (f", interval {interval}" if interval else "")
    if row.p_adjusted is not None:
        figures += f", {'' if row.primary else 'corrected '}p {p_text(row.p_adjusted)}"
    return f"{outcome(row.headline).word.lower()} ({figures})"


def primary(arms: Sequence[ArmSummary]) -> str:
    """Return the result of the comparison that was declared as the primary one; empty if none was."""
    found = [(arm, row) for arm in arms for row in arm.accuracy if row.primary]
    return "".join(
        f"The comparison declared as primary, judge {row.judge} on {arm.name}: {_result(row)}." for arm, row in found
    )


def by_corrected_p(family: Family) -> str:
    """Return what directions go by where there are several comparisons; empty for one."""
    if family.size < 2:
        return ""
    return (
        f"Raised and lowered are said by p-values corrected for all {family.size} comparisons of this page "
        f"({family.correction})"
        + (", which come after the one that was declared as primary" if family.primary else "")
        + "; intervals are for one comparison at a time."
    )


_ANSWERS: dict[Headline | None, str] = {
    "raised": "Yes, it raised accuracy",
    "lowered": "No, it lowered accuracy",
    "no change shown": "No change shown",
    "not tested by itself": "Not tested by itself",
    None: "Not measured",
}


def overall(arms: Sequence[ArmSummary]) -> str:
    """Return the answer of the whole run: the reward judge's result, then whether held-out judges found the same."""
    headlines = [arm.headline for arm in arms]
    if not headlines:
        return "This run holds no trained arm, so there is no answer yet."
    if len(headlines) == 1:
        return f"{_ANSWERS[headlines[0]]}, for the judge that gave the reward. {_agreement(arms)}".strip()
    counts = Counter(outcome(headline).word.lower() for headline in headlines)
    parts = [f"{word} in {count}" for word, count in counts.items()]
    listed = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return f"Of {len(headlines)} arms: {listed}, for the judge that gave the reward. {_agreement(arms)}".strip()


def invalid_rows(arms: Sequence[ArmSummary]) -> list[tuple[ArmSummary, JudgeAccuracy]]:
    """Return the arms and judges of whom any verdict was INVALID."""
    return [(arm, row) for arm in arms for row in arm.accuracy if row.n_invalid and row.invalid]


def _agreement(arms: Sequence[ArmSummary]) -> str:
    held_out = [[row.headline for row in arm.accuracy if row.role == "held-out" and row.headline] for arm in arms]
    same = [set(found) == {arm.headline} for arm, found in zip(arms, held_out, strict=True) if found]
    if not same:
        return ""
    if len(arms) == 1:
        return "The held-out judge found the same." if same[0] else "The held-out judge did not find the same."
    return f"Held-out judges found the same in {sum(same)} of the {len(same)} arms they judged."
