"""How a conversation becomes tokens: as running text, or as the turns of a model's chat template.

A conversation is what one seat was told and what it said, by turns, beginning with what it was told. A judge's prompt
is a conversation of one turn. Text that comes from outside (passages, speeches) cannot forge a turn: whatever spells
one of the tokenizer's special tokens is broken up before it is tokenised.
"""

import re
from collections.abc import Collection, Sequence
from typing import Protocol as Interface

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from envs import scratchpad
from trainer.engines.base import EngineError


_TAIL = 200
"""Characters of a prompt's end that are read together with an answer to see how its tokens go on."""
_AROUND = 8
"""Signs of white space round a text in one token, at most."""


class Format(Interface):
    """Turns conversations into token ids, and sampled token ids back into text."""

    keeps_prefix: bool
    """Whether a longer conversation begins with the tokens of the shorter one, speeches as they were sampled. If not
    (templates that drop earlier thoughts do so), a seat's context is rendered anew for each of its speeches."""
    opens_thoughts: bool
    """Whether the template itself begins every answer with a thought."""

    def open(self, history: Sequence[str]) -> list[int]:
        """All tokens before the next speech, given what was told, said, told, …, told."""

    def go_on(self, told: str, ended: bool) -> list[int]:
        """The tokens between a sampled speech and the next one. `ended`: the speech closed with its end token."""

    def choice(self, text: str, told: str = "") -> list[int]:
        """Return the tokens with which a prompt of one turn (`told`) goes on where the answer is this text: those that
        follow the prompt's own when both are read together."""

    def spellings(self, text: str) -> list[int]:
        """Return the tokens that spell this text by themselves, white space around it aside ("A", " A", "▁A")."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of sampled tokens, without special tokens (but tags round thoughts) and white space at the ends."""

    def count(self, text: str) -> int:
        """Tokens of a text by itself."""


def make_format(
    tokenizer: PreTrainedTokenizerBase, ends: Collection[int], kind: str = "auto", thinking: bool = False
) -> Format:
    """"plain", "chat", or what suits the tokenizer ("auto": chat if it has a template).

    `ends` are the tokens that end a speech. `thinking` is handed to the chat template as `enable_thinking`.

    Raises:
        EngineError: "chat" without a template, or a template that cannot render a debate.
    """
    if kind == "plain" or (kind == "auto" and tokenizer.chat_template is None):
        return PlainFormat(tokenizer)
    if tokenizer.chat_template is None:
        raise EngineError("format=chat needs a tokenizer with a chat template and this one has none: use format=plain.")
    return ChatFormat(tokenizer, ends, thinking)


class _Tokens:
    """What both formats do with a tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._silent = {
            index
            for index, token in zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
            if not scratchpad.TAG.fullmatch(token)
        }
        marks = sorted(_marks(tokenizer), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, marks)) or r"(?!)")
        self._reserved = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
        self._spelled: dict[str, list[int]] = {}

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of sampled tokens. Tags round a thought stay, even those that are special tokens: the environment looks
        for them."""
        return self.tokenizer.decode([token for token in token_ids if token not in self._silent]).strip()

    def count(self, text: str) -> int:
        """Tokens of a text by itself."""
        return len(self._encode(self._safe(text)))

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

    def _safe(self, text: str) -> str:
        """The text with a space inside everything that would be read as a special token."""
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _encode(self, text: str, opening: bool = False) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=opening)


def _marks(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """What the tokenizer would read as a mark of its own and not as text.

    Beside the special tokens that it has a use for itself: those that its file merely declares (Llama 3's
    `<|start_header_id|>`), and others that its chat template writes (DeepSeek's `<｜User｜>` is not declared special).
    Tags round thoughts are left to the environment, which looks for them.
    """
    template = str(tokenizer.chat_template or "")
    added = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if (token.special or token.content in template) and not scratchpad.TAG.fullmatch(token.content)
    }
    punctuated = {token for token in added if not token.isspace() and not token[0].isalnum()}
    return {token for token in {*tokenizer.all_special_tokens, *punctuated} if len(token) > 1}


def _may_spell(token: str, text: str) -> bool:
    """Return whether a token, as the vocabulary writes it, can be this text with white space around it: a quick look
    before it is decoded. Byte-level vocabularies write one sign per byte, others mark a byte as `<0x41>`."""
    near = len(token) <= len(text.encode()) + _AROUND
    return near and (not text.isascii() or text in token or token.startswith("<0x"))


class PlainFormat(_Tokens):
    """Running text, for base models: what is told and what is said simply follow each other."""

    keeps_prefix, opens_thoughts = True, False

    def open(self, history: Sequence[str]) -> list[int]:
        """The texts one after the other, after the token that begins a text if the model has one."""
        told, *later = map(self._safe, history)
        return self._encode(told, opening=True) + [token for text in later for token in self._encode(text)]

    def go_on(self, told: str, ended: bool) -> list[int]:
        """What is told, as it is."""
        return self._encode(self._safe(told))

    def choice(self, text: str, told: str = "") -> list[int]:
        """Return the tokens of the answer after a space."""
        told = self._safe(told or "told")
        return self._goes_on(told, self._safe(text) if told[-1:].isspace() else f" {self._safe(text)}")


class ChatFormat(_Tokens):
    """A chat template: what a seat is told is a user's turn, what it said an assistant's."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: Collection[int], thinking: bool) -> None:
        super().__init__(tokenizer)
        self._thinking = thinking
        self.opens_thoughts = self._render(["told"]).rstrip().endswith("<think>")
        self._ends = [str(token) for token in tokenizer.convert_ids_to_tokens(sorted(ends))]
        between = self._between()
        self.keeps_prefix = between is not None
        self._closing, self._reply = between or ("", "")

    def open(self, history: Sequence[str]) -> list[int]:
        """The conversation as the template renders it, up to where the next answer begins."""
        return self._encode(self._render([self._safe(text).strip() for text in history]))

    def go_on(self, told: str, ended: bool) -> list[int]:
        """The end of the answer's turn (what of it was not sampled), a user's turn, and the beginning of an answer."""
        closing = self._closing
        if ended:
            closing = next((closing.removeprefix(end) for end in self._ends if closing.startswith(end)), closing)
        return self._encode(closing + self._safe(told).strip() + self._reply)

    def choice(self, text: str, told: str = "") -> list[int]:
        """Return the tokens of the answer at the very beginning of the assistant's turn."""
        return self._goes_on(self._render([self._safe(told or "told").strip()]), self._safe(text))

    def _render(self, history: Sequence[str]) -> str:
        messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(history)]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=True, enable_thinking=self._thinking
                )
            )
        except TemplateError as error:
            raise EngineError(
                f"The tokenizer's chat template cannot render a debate ({error}): use format=plain, or another model."
            ) from None

    def _between(self) -> tuple[str, str] | None:
        """What the template writes after a speech and before what is told next, and after that; None if it does not
        leave what came before as it was."""
        told, said, later = "WHATISTOLD", "WHATISSAID", "WHATISTOLDLATER"
        before = self._render([told])
        if self._thinking:
            said = f"{'' if self.opens_thoughts else '<think>'}\nprivate\n</think>\n\n{said}"
        whole = self._render([told, said, later])
        spoken = whole.removeprefix(before).lstrip()
        if not whole.startswith(before) or not spoken.startswith(said.lstrip()) or later not in spoken:
            return None
        closing, _, reply = spoken.removeprefix(said.lstrip()).partition(later)
        return closing, reply
