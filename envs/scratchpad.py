"""The private scratchpad: what a debater thinks before it speaks, taken out by the environment.

Thoughts stand between `<thinking>` and `</thinking>` (Khan et al. 2024), or between the tags of thinking models, which
write `<think>` or `[THINK]`. Whatever is ambiguous is private: nothing that was meant to be hidden may reach the judge,
and a debater gains nothing by hiding a part of its speech.
"""

import re

TAG = re.compile(r"[<\[]\s*(/?)\s*think(?:ing)?\s*[>\]]", re.IGNORECASE)


def split(raw: str) -> tuple[str, str]:
    """What is said in public, and what was thought in private (tags left out).

    A closing tag without an opening one makes everything before it private, as where the prompt itself has begun the
    thought. An opening tag that is never closed makes everything after it private.
    """
    public: list[str] = []
    private: list[str] = []
    position, thinking = 0, False
    for tag in TAG.finditer(raw):
        text = raw[position : tag.start()]
        if tag[1] and not thinking:
            private, public = [*private, *public, text], []
        else:
            (private if thinking else public).append(text)
        thinking, position = not tag[1], tag.end()
    (private if thinking else public).append(raw[position:])
    return _joined(public), _joined(private)


def _joined(parts: list[str]) -> str:
    return "\n".join(text for part in parts if (text := part.strip()))
