"""The sentence of a passage that speaks for an answer, by hand."""

from rostrum.envs.text.quotable import sentence_for, sentences

STORY = (
    "The keeper of the lock was called Oda. Boats came up in the morning with stone.\n\n[...]\n\nPell was an engineer."
)


def test_a_sentence_is_not_shown_twice_and_must_fit() -> None:
    lengths = range(5, 20)
    boats = "Boats came up in the morning with stone."
    assert sentence_for("boats", STORY, lengths) == boats
    assert sentence_for("boats", STORY, lengths, [f"so {boats}"]) == "The keeper of the lock was called Oda."
    assert sentence_for("Pell", STORY, lengths) != "Pell was an engineer.", "it has four words"
    assert sentence_for("boats", STORY, range(30, 40)) is None
    assert sentence_for("boats", STORY, range(5, 7)) == "Boats came up in the morning", "the beginning of one"
    assert sentences(STORY)[-1] == "Pell was an engineer."
