"""How an endpoint is reached, what it may be asked, and what it may cost."""

from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_OURS = ("model", "messages", "prompt", "n", "stream", "logprobs", "top_logprobs", "echo")
"""Fields of a request that decide what is asked; they are not the configuration's."""

MEANS = ("key_variable", "concurrency", "timeout", "retries", "cache", "price_in", "price_out", "probe", "spend_cap")
"""Settings that decide how an endpoint is asked and at what cost, and not what it answers: a run that goes on may have
others."""


DEFAULT_KEY = "OPENAI_API_KEY"


class EndpointError(ValueError):
    """An endpoint that cannot be used as it is configured; the message is one sentence that says what to do."""


class Endpoint(BaseModel):
    """An OpenAI-compatible endpoint, for judges with engine=endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str
    """Up to and including the version, e.g. http://localhost:8000/v1."""
    key_variable: str | None = DEFAULT_KEY
    """Name of the environment variable that holds the key; servers of one's own need none, and then it may be unset.
    None sends no key: so are read configurations that somebody else may have written (`launch.trust`)."""
    api: Literal["chat", "completions"] = "chat"
    """chat/completions, or completions (running text) for models without a chat template."""
    logprobs: Literal["auto", "never"] = "auto"
    """auto: log-probabilities if the server gives them, else samples; never: samples."""
    samples: int = Field(16, ge=1)
    """Replies that are sampled for a reading where there are no log-probabilities."""
    concurrency: int = Field(16, ge=1)
    """Requests under way at a time."""
    timeout: float = Field(120, gt=0)
    """Seconds that one request may take, from the first byte sent to the last one received."""
    retries: int = Field(5, ge=0)
    """How often a request is repeated that failed for a reason that may pass; the wait doubles from half a second."""
    cache: Path | None = Path("runs/endpoint-cache")
    """Folder that keeps every reply, shared by runs, so that nothing is paid for twice; null keeps none."""
    price_in: float = Field(0.0, ge=0)
    """Dollars per million tokens read."""
    price_out: float = Field(0.0, ge=0)
    """Dollars per million tokens written."""
    probe: Literal["refuse", "warn"] = "refuse"
    """What is done about a server that answers what it is asked before a run (which of the letters A and B comes first;
    judges that write, a made-up debate) wrongly: warn is for judges that were taught to read nothing but debates."""
    spend_cap: float | None = Field(None, gt=0)
    """Dollars that the judge may cost a run, its evaluation included. A request that could exceed it is not sent."""
    body: dict[str, Any] = {}
    """Further fields of every request, e.g. {chat_template_kwargs: {enable_thinking: false}}; null leaves one out that
    would be sent otherwise, such as seed."""

    @field_validator("body")
    @classmethod
    def _asks_what_is_asked(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = [key for key in value if key in _OURS]
        if taken:
            raise ValueError(f"body cannot set {taken[0]}, which is decided by what is asked")
        if "max_tokens" in value and not isinstance(value.get("max_completion_tokens"), int):
            raise ValueError("body can leave max_tokens out only if it sets max_completion_tokens to a number")
        return value

    @model_validator(mode="after")
    def _the_address_holds_no_key(self) -> "Endpoint":
        parts = urlsplit(self.base_url)  # here, and not as the field is read, for the error would repeat the field
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("base_url is written down, so it may hold no key: name an environment variable instead")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be an address like https://api.openai.com/v1")
        return self

    @model_validator(mode="after")
    def _a_cap_needs_prices(self) -> "Endpoint":
        if self.spend_cap is not None and not (self.price_in or self.price_out):
            raise ValueError("spend_cap is reckoned with price_in and price_out: set them")
        return self

    @property
    def sample_tokens(self) -> int:
        """Tokens of a sampled reply. A chat model ends its turn after a letter; of running text one token is read."""
        return 4 if self.api == "chat" else 1

    def dollars(self, prompt_tokens: int, new_tokens: int) -> float:
        """Return what the endpoint charges for so many tokens."""
        return (prompt_tokens * self.price_in + new_tokens * self.price_out) / 1e6
