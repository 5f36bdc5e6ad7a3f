"""A model's chat template: how it is rendered, what it must keep of a debate, and how it marks thoughts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from rostrum.envs.text import scratchpad
from rostrum.trainer.engines.errors import EngineError

TODAY = date(2024, 7, 26)
"""What templates that ask for today's date are told, so that a prompt is the same on every day: the date that Llama's
templates fall back to."""
TOLD, SAID, LATER, REPLY = (
    f'What is {what}, "in quotes" & <v_quote>as it is</v_quote>,\nin two lines.'
    for what in ("told first", "said", "told later", "said in reply")
)
"""Stand for what is told and said where a template is tried. They hold what a template might escape or fold."""
_FIELDS = ("reasoning_content", "reasoning", "thinking", "thought")
"""How templates call the thoughts that come with an answer."""
_SPLIT = re.compile(r"""\.r?split\(\s*(['"])(.+?)\1""")
_ENDS = re.compile(r"/|(?<![a-z])(?:end|close|stop)(?![a-z])", re.IGNORECASE)
_TURNS = re.compile(r"tool|inst|image|function|turn|im_end|eot|header|message", re.IGNORECASE)
"""In marks at which templates split texts for other reasons than thoughts."""
_SUSPECT = re.compile(r"think|thought|reason|reflect|scratch|monolog|ponder|deliberat|cogit|muse|musing", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Thoughts:
    """What is known of a model's thoughts."""

    opened: str = ""
    """The mark of the thought that the prompt itself begins; nothing if it begins none."""
    opening: str = ""
    """A mark that the template writes before thoughts and that `envs.text.scratchpad` does not know."""
    closing: str = ""
    """The one that it writes behind them."""
    unknown: str = ""
    """What shows that there are marks that cannot be told; nothing otherwise."""


class ChatTemplate:
    """A tokenizer's chat template; what a speaker is told is a user's turn, what it said an assistant's."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, thinking: bool) -> None:
        self._tokenizer, self._thinking = tokenizer, thinking
        self._source = str(tokenizer.chat_template)

    def render(self, history: Sequence[str], reply: bool = True, thoughts: str | None = None) -> str:
        """Return the conversation told, said, told, … as text, with the header of the next answer if there is to be a
        `reply`. `thoughts` go with every answer, under each name that templates have for them.

        Raises:
            EngineError: the template cannot.
        """
        own = {} if thoughts is None else dict.fromkeys(_FIELDS, thoughts)
        messages = [
            {"role": "assistant", "content": text, **own} if i % 2 else {"role": "user", "content": text}
            for i, text in enumerate(history)
        ]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    messages,
                    tokenize=False,
                    add_generation_prompt=reply,
                    enable_thinking=self._thinking,
                    thinking=self._thinking,
                    reasoning=self._thinking,
                    strftime_now=TODAY.strftime,
                    date_string=TODAY.strftime("%d %b %Y"),
                )
            )
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            raise EngineError(
                f"The tokenizer's chat template cannot render a debate ({error}): use format=plain, or another model."
            ) from None

    def check(self, speaks: bool = True) -> None:
        """Ask whether a rendered debate holds, in order, what was told, what was said, and where the next answer
        begins. A model that never `speaks` only has to be told something.

        Raises:
            EngineError: the template loses one of them.
        """
        self._behind([TOLD])
        if not speaks:
            return
        history = [TOLD, SAID, LATER]
        header, ended, tail = self._behind(history)
        without = self._behind(history, reply=False)[-1]
        headers = [_bare(header)]
        if not self._loses([*history, REPLY]):
            headers.append(_bare(self._behind([*history, REPLY], reply=False)[2]))
        begun = _bare(tail)
        if begun and tail.strip() != without.strip():
            follows = any(known.startswith(begun) or begun.startswith(known) for known in headers)
        else:  # nothing is written for the reply's sake: the end of the user's turn must be all that precedes answers
            follows = begun != "" and begun in headers
        if not follows:
            raise EngineError(_lost(f"where an answer begins (after {_shown(without)} comes no header for it)"))
        if not ended.strip():
            raise EngineError(_lost("where a speech ends"))

    def _loses(self, history: Sequence[str]) -> bool:
        """Return whether a conversation that ends with an answer cannot be rendered whole, as it never need be."""
        try:
            rendered = self.render(history, reply=False)
        except EngineError:
            return True
        places = [rendered.find(text) for text in history]
        return -1 in places or places != sorted(places)

    def _behind(self, history: Sequence[str], reply: bool = True) -> list[str]:
        """Return what the template writes behind each of the texts.

        Raises:
            EngineError: one of them is not there as it is, behind the one before it.
        """
        rest, between = self.render(history, reply), list[str]()
        for text in history:
            before, found, rest = rest.partition(text)
            if not found:
                raise EngineError(_lost(_NAMES[text]))
            between.append(before)
        return [*between[1:], rest]

    def thoughts(self) -> Thoughts:
        """Return how the model marks its thoughts, as far as its template and its tokenizer say so."""
        opening, closing = self._declared()
        tail = self.render([TOLD]).rpartition(TOLD)[2]
        opened = scratchpad.left_open(tail)
        if opening and tail.rstrip().endswith(opening):
            opened = opening
        if "<|channel|>" in self._source and tail.rstrip().endswith("<|start|>assistant"):
            opened = "<|start|>assistant"
        return Thoughts(opened, opening, closing, self._unknown(opening, closing))

    def _declared(self) -> tuple[str, str]:
        """Return the marks that the template writes round the thoughts of an answer, or splits answers at, if
        `envs.text.scratchpad` does not know them."""
        for opening, closing in (self._around(), self._split_at()):
            if closing and not {"close", "speak"} & scratchpad.kinds(closing) and "<|channel|>" not in closing:
                return opening, closing
        return "", ""

    def _around(self) -> tuple[str, str]:
        """Return what the template writes before and behind thoughts that are given to it apart from an answer."""
        private = "WHATISTHOUGHT"
        if not any(field in self._source for field in _FIELDS):
            return "", ""
        try:
            plain, thought = (self.render([TOLD, SAID], False, given).partition(TOLD)[2] for given in (None, private))
        except EngineError:
            return "", ""
        before, found, behind = thought.partition(private)
        header, _, _ = plain.partition(SAID)
        return (before.removeprefix(header).strip(), behind.partition(SAID)[0].strip()) if found else ("", "")

    def _split_at(self) -> tuple[str, str]:
        """Return a mark at which the template splits texts, as one that ends thoughts, and the one that begins them."""
        vocabulary = self._tokenizer.get_vocab()
        for _, mark in _SPLIT.findall(self._source):
            mark = mark.strip()
            if mark[:1].isalnum() or not _ENDS.search(mark) or _TURNS.search(mark):
                continue
            if scratchpad.kinds(mark):
                return "", mark
            starts = [_ENDS.sub(word, mark, count=1) for word in ("", "start", "begin", "open", "START", "BEGIN")]
            return next((text for text in starts if text in vocabulary or text in self._source), ""), mark
        return "", ""

    def _unknown(self, opening: str, closing: str) -> str:
        """Return what shows that the model thinks, if none of the marks that it would think in are known."""
        added = [token.content for token in self._tokenizer.added_tokens_decoder.values()]
        known = {"open", "close"} <= scratchpad.kinds(f"{self._source} {' '.join(added)}")
        if closing:
            return "" if opening else f"its template ends thoughts with {closing!r} and does not say how they begin"
        if known or "<|channel|>" in self._source or "here is my thought process:" in self._source.lower():
            return ""
        if suspects := [token for token in added if _SUSPECT.search(token)]:
            return f"its tokenizer has {suspects[0]!r}"
        if any(re.search(rf"[.'\"]{field}\b", self._source) for field in _FIELDS):
            return "its template takes thoughts apart from an answer"
        with_, without = (ChatTemplate(self._tokenizer, on).render([TOLD]) for on in (True, False))
        return "" if with_ == without else "its template can be asked to let it think"


_NAMES = {TOLD: "what a debater is told first", SAID: "what it said", LATER: "what it is told next", REPLY: "a reply"}


def _lost(what: str) -> str:
    return (
        f"The tokenizer's chat template loses {what}, so a debate cannot be told with it: use format=plain, or another "
        "model."
    )


def _shown(text: str) -> str:
    return repr(text[-40:])


def _bare(text: str) -> str:
    """Return a header without white space and what it says of thoughts, which need not be the same for every answer."""
    text = re.sub(r"<\|channel\|>final<\|message\|>", "", text)
    return "".join(scratchpad.without_marks(text).split())
