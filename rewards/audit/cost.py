"""What the verdicts cost, in time, tokens and money."""

from dataclasses import dataclass

from rostrum.rewards.types import Usage


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the verdicts on the debates as they are (not those that sections ask for besides)."""

    verdicts: int
    seconds: float
    usage: Usage

    @property
    def seconds_per_verdict(self) -> float:
        return self.seconds / self.verdicts if self.verdicts else float("nan")

    @property
    def dollars_per_1000(self) -> float:
        """Dollars for a thousand verdicts."""
        return 1000 * self.usage.dollars / self.verdicts if self.verdicts else float("nan")
