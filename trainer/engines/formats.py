"""How a conversation becomes tokens: as running text, or as the turns of a model's chat template.

A conversation is what one speaker was told and what it said, by turns, beginning with what it was told. A judge's
prompt is a conversation of one turn. Text that comes from outside (passages, speeches) cannot forge a turn
(`trainer.engines.guard`).
"""

from collections.abc import Collection, Sequence
from typing import Protocol as Interface

from transformers import PreTrainedTokenizerBase

from rostrum.envs.text import scratchpad
from rostrum.trainer.engines.errors import EngineError
from rostrum.trainer.engines.guard import Guard
from rostrum.trainer.engines.templates import ChatTemplate

_TAIL = 200
"""Characters of a prompt's end that are read together with an answer to see how its tokens go on."""
_AROUND = 8
"""Signs of white space round a text in one token, at most."""


class Format(Interface):
    """Turns conversations into token ids, and sampled token ids back into text."""

    keeps_prefix: bool
    """Whether a longer conversation begins with the tokens of the shorter one, speeches as they were sampled. If not
    (templates that drop earlier thoughts do so), a speaker's context is rendered anew for each of its speeches."""
    opens_thoughts: bool
    """Whether the template itself begins every answer with a thought."""
    unknown_thoughts: str
    """What shows that the model marks its thoughts in a way that `envs.text.scratchpad` cannot tell; nothing
    otherwise."""

    def open(self, history: Sequence[str]) -> list[int]:
        """Return all tokens before the next speech, given what was told, said, told, …, told."""

    def go_on(self, told: str, ended: bool) -> list[int]:
        """Return the tokens between a sampled speech and the next one; with `ended`, the speech closed with its end
        token."""

    def choice(self, text: str, told: str = "") -> list[int]:
        """Return the tokens with which a prompt of one turn (`told`) goes on where the answer is this text: those that
        follow the prompt's own when both are read together."""

    def spellings(self, text: str) -> list[int]:
        """Return the tokens that spell this text by themselves, white space around it aside ("A", " A", "▁A")."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of what was sampled after a prompt, without special tokens and white space at the ends, but
        with the marks round thoughts, the one that the prompt ends with included."""

    def count(self, text: str) -> int:
        """Return the number of tokens of a text by itself."""


def make_format(
    tokenizer: PreTrainedTokenizerBase,
    ends: Collection[int],
    kind: str = "auto",
    thinking: bool = False,
    speaks: bool = True,
) -> Format:
    """Return the format "plain", "chat", or what suits the tokenizer ("auto": chat if it has a template).

    `ends` are the tokens that end a speech. `thinking` is handed to the chat template as `enable_thinking`, and under
    the other names that templates have for it. A model with a head never `speaks`.

    Raises:
        EngineError: "chat" without a template, a template that loses a part of a debate, or a model that is to think
            and whose thoughts could not be told from what it says.
    """
    if kind == "plain" or (kind == "auto" and tokenizer.chat_template is None):
        return PlainFormat(tokenizer, speaks)
    if tokenizer.chat_template is None:
        raise EngineError("format=chat needs a tokenizer with a chat template and this one has none: use format=plain.")
    made = ChatFormat(tokenizer, ends, thinking, speaks)
    if thinking and made.unknown_thoughts:
        raise EngineError(
            f"protocol.scratchpad=true cannot be had: this model marks its thoughts in a way that is not known "
            f"({made.unknown_thoughts}), so they could be read by the judge: set protocol.scratchpad=false, or use "
            "another model."
        )
    return made


class _Tokens:
    """What both formats do with a tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._harmony = "<|channel|>" in tokenizer.get_vocab()
        self._silent = {
            index
            for index, token in zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
            if not scratchpad.is_mark(token, self._harmony)
        }
        self._turns = {
            index
            for index, token in zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
            if scratchpad.is_turn(token)
        }
        self._guard = Guard(tokenizer)
        self._reserved = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
        self._spelled: dict[str, list[int]] = {}

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of sampled tokens. Marks round a thought stay, even those that are special tokens, and so
        does what begins a turn if one of them is of thoughts: the environment looks for them."""
        if not self._turns.isdisjoint(token_ids):
            text = self._spoken(token_ids, self._silent - self._turns)
            if scratchpad.thinks_in_turns(text):
                return text
        return self._spoken(token_ids, self._silent)

    def _spoken(self, token_ids: Sequence[int], silent: Collection[int]) -> str:
        text: str = self.tokenizer.decode([token for token in token_ids if token not in silent])
        return text.strip()

    def count(self, text: str) -> int:
        """Return the number of tokens of a text by itself."""
        return len(self._encode(self._guard.safe(text)))

    def spellings(self, text: str) -> list[int]:
        """Return the tokens that spell this text by themselves, white space around it aside ("A", " A", "▁A")."""
        if text not in self._spelled:
            self._spelled[text] = [
                index
                for token, index in self.tokenizer.get_vocab().items()
                if _may_spell(token, text.strip())
                and index not in self._reserved
                and self.tokenizer.decode([index], clean_up_tokenization_spaces=False).strip() == text.strip()
            ]
        return self._spelled[text]

    def _goes_on(self, before: str, text: str) -> list[int]:
        """Return the tokens of `text` where it follows `before`. If the last token of `before` would be another one
        with the text behind it, then those behind a line break."""
        for start in (before[-_TAIL:], "\n"):
            prompt, whole = self._encode(start), self._encode(start + text)
            if whole[: len(prompt)] == prompt and len(whole) > len(prompt):
                return whole[len(prompt) :]
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        token_ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return token_ids


def _may_spell(token: str, text: str) -> bool:
    """Return whether a token, as the vocabulary writes it, can be this text with white space around it: a quick look
    before it is decoded. Byte-level vocabularies write one sign per byte, others mark a byte as `<0x41>`."""
    near = len(token) <= len(text.encode()) + _AROUND
    return near and (not text.isascii() or text in token or token.startswith("<0x"))


def _around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the special tokens that the tokenizer puts before a text and behind it; models that were trained with them
    say little that makes sense without."""
    bare, whole = (tokenizer.encode("told", add_special_tokens=special) for special in (False, True))
    start = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
    before, behind = whole[:start], whole[start + len(bare) :]
    if not before and getattr(tokenizer, "add_bos_token", False) and tokenizer.bos_token_id is not None:
        before = [tokenizer.bos_token_id]
    return before, behind


class PlainFormat(_Tokens):
    """Running text, for base models: what is told and what is said simply follow each other."""

    keeps_prefix, opens_thoughts, unknown_thoughts = True, False, ""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, speaks: bool = True) -> None:
        super().__init__(tokenizer)
        self._begins, ends = _around(tokenizer)
        self._ends = [] if speaks else ends  # a speech goes on where a text has not ended

    def open(self, history: Sequence[str]) -> list[int]:
        """Return the texts one after the other, after the token that begins a text if the model has one."""

        def read(texts: Sequence[str]) -> list[int]:
            return [*self._begins, *(token for text in texts for token in self._encode(text)), *self._ends]

        return self._guard.read(history, read, "open")

    def go_on(self, told: str, ended: bool) -> list[int]:
        """Return what is told, as it is."""
        return self._guard.read([told], lambda texts: self._encode(texts[0]))

    def choice(self, text: str, told: str = "") -> list[int]:
        """Return the tokens of the answer after a space."""
        told = self._guard.safe(told or "told")
        blank = "" if told[-1:].isspace() else " "
        return self._guard.read([text], lambda texts: self._goes_on(told, blank + texts[0]))


class ChatFormat(_Tokens):
    """A chat template: what a speaker is told is a user's turn, what it said an assistant's."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, ends: Collection[int], thinking: bool, speaks: bool = True
    ) -> None:
        """Refuse a template that cannot tell a debate, with an `EngineError`."""
        super().__init__(tokenizer)
        self._guard = Guard(tokenizer, thoughts=True)  # what is told again of a speech has no thoughts in it
        self._template = ChatTemplate(tokenizer, thinking)
        self._template.check(speaks)
        self._thoughts = self._template.thoughts()
        self.opens_thoughts, self.unknown_thoughts = bool(self._thoughts.opened), self._thoughts.unknown
        vocabulary = tokenizer.get_vocab()
        self._silent -= {vocabulary.get(mark, -1) for mark in (self._thoughts.opening, self._thoughts.closing)}
        self._ends = [str(token) for token in tokenizer.convert_ids_to_tokens(sorted(ends))]
        between = self._between(thinking) if speaks else None
        self.keeps_prefix = between is not None
        self._closing, self._reply = between or ("", "")

    def open(self, history: Sequence[str]) -> list[int]:
        """Return the conversation as the template renders it, up to where the next answer begins. Where it changes
        earlier turns, they are given to it without their thoughts."""
        texts = list(history)
        if not self.keeps_prefix:
            texts[1::2] = [scratchpad.split(said)[0] for said in texts[1::2]]

        def read(texts: Sequence[str]) -> list[int]:
            return self._encode(self._template.render([text.strip() for text in texts]))

        return self._guard.read(texts, read, f"open {len(texts)}")

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of what was sampled after a prompt. The mark of a thought that the prompt begins stands
        before it, and marks that this model's template alone has are written as `<think>` and `</think>`."""
        text = super().decode(token_ids)
        thoughts = self._thoughts
        if thoughts.closing:
            text = f"{thoughts.opened}{text}".replace(thoughts.closing, "</think>")
            return text.replace(thoughts.opening, "<think>") if thoughts.opening else text
        return f"{thoughts.opened}{text}"

    def go_on(self, told: str, ended: bool) -> list[int]:
        """Return the end of the answer's turn (what of it was not sampled), a user's turn, and the beginning of an
        answer."""
        closing = self._closing
        if ended:
            closing = next((closing.removeprefix(end) for end in self._ends if closing.startswith(end)), closing)
        return self._guard.read(
            [told], lambda texts: self._encode(closing + texts[0].strip() + self._reply), f"go on {closing}"
        )

    def choice(self, text: str, told: str = "") -> list[int]:
        """Return the tokens of the answer at the very beginning of the assistant's turn."""
        before = self._template.render([self._guard.safe(told or "told").strip()])
        return self._guard.read([text], lambda texts: self._goes_on(before, texts[0]))

    def _between(self, thinking: bool) -> tuple[str, str] | None:
        """Return what the template writes after a speech and before what is told next, and after that; None if it does
        not leave what came before as it was."""
        told, said, later = "WHATISTOLD", "WHATISSAID", "WHATISTOLDLATER"
        before = self._template.render([told])
        if thinking:
            opening, closing = self._thoughts.opening or "<think>", self._thoughts.closing or "</think>"
            said = f"{'' if self.opens_thoughts else opening}\nprivate\n{closing}\n\n{said}"
        whole = self._template.render([told, said, later])
        spoken = whole.removeprefix(before).lstrip()
        if not whole.startswith(before) or not spoken.startswith(said.lstrip()) or later not in spoken:
            return None
        closing, _, reply = spoken.removeprefix(said.lstrip()).partition(later)
        return closing, reply
