import json
from dataclasses import asdict

import pytest

from rostrum.envs.questions import JsonLinesQuestions, QuestionError
from rostrum.envs.types import QuestionSet


def record(number, **fields):
    base = {
        "id": f"q{number}",
        "story_id": f"s{number // 3}",
        "question": "Where?",
        "answers": ["kitchen", "office"],
        "passage": f"Story {number // 3}.",
        "correct": number % 2,
    }
    return {key: value for key, value in {**base, **fields}.items() if value is not None}


RECORDS = [record(number) for number in range(300)]


@pytest.fixture
def stored(tmp_path):
    def store(records, **options):
        path = tmp_path / "questions.jsonl"
        path.write_text("".join(json.dumps(item) + "\n" for item in records))
        return JsonLinesQuestions(path, **options)

    return store


def stories(questions: QuestionSet, split):
    return {question.story_id for question in questions.questions(split)}


def ids(questions, split):
    return [question.id for question in questions.questions(split)]


def test_questions_and_key_come_from_the_file(stored):
    questions = stored([record(0), record(1, passage=None, story_id="x")], heldout_fraction=1)
    first, second = questions.questions("heldout")
    assert (first.id, first.story_id, first.text, first.passage) == ("q0", "s0", "Where?", "Story 0.")
    assert (first.answers, second.passage) == (("kitchen", "office"), "")
    assert questions.answer_key("heldout").correct == {"q0": 0, "q1": 1}
    assert questions.questions("train") == ()


def test_a_question_does_not_carry_its_label(stored):
    flipped = [{**item, "correct": 1 - item["correct"]} for item in RECORDS]
    one, other = stored(RECORDS).questions("train"), stored(flipped).questions("train")
    assert one == other
    assert "correct" not in asdict(one[0])


def test_the_splits_share_no_story_and_lose_no_question(stored):
    questions = stored(RECORDS)
    assert not stories(questions, "train") & stories(questions, "heldout")
    assert sorted(ids(questions, "train") + ids(questions, "heldout")) == sorted(item["id"] for item in RECORDS)
    assert len(stories(questions, "heldout")) == 50
    assert ids(questions, "train") == [item["id"] for item in RECORDS if item["id"] in ids(questions, "train")]


def test_the_split_is_the_same_on_every_machine(stored):
    """sha256("0:s0") begins 2ead…, sha256("0:s1") ba57…, sha256("0:s2") db40…: s0, s1, s2 is their order."""
    three = [record(0), record(3), record(6)]
    assert [stories(stored(three, heldout_fraction=f), "heldout") for f in (0, 0.1, 0.6, 0.9, 1)] == [
        set(),
        {"s0"},
        {"s0", "s1"},
        {"s0", "s1"},
        {"s0", "s1", "s2"},
    ]


@pytest.mark.parametrize("number", [2, 3, 5, 7, 100])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("seed", range(5))
def test_a_share_is_kept_and_no_split_is_empty(stored, number, share, seed):
    questions = stored([record(3 * n) for n in range(number)], heldout_fraction=share, seed=seed)
    held = len(stories(questions, "heldout"))
    assert held == min(max(int(share * number + 0.5), 1), number - 1)
    assert len(stories(questions, "train")) == number - held
    assert questions.why_empty("train") is questions.why_empty("heldout") is None


def test_why_a_split_is_empty_is_told(stored):
    one = stored([record(0), record(1)])
    (empty,) = [split for split in ("train", "heldout") if not one.questions(split)]
    assert "its questions are about one story, which is not divided" in one.why_empty(empty)
    none, every = stored(RECORDS, heldout_fraction=0), stored([record(0)], heldout_fraction=1)
    assert "no held-out questions, as heldout_fraction=0 asks for" in none.why_empty("heldout")
    assert "no training questions, as heldout_fraction=1 asks for" in every.why_empty("train")


def test_the_split_does_not_depend_on_the_order_of_the_stories(stored):
    assert stories(stored(RECORDS), "heldout") == stories(stored(RECORDS[::-1]), "heldout")
    some = stories(stored(RECORDS[30:90]), "heldout")
    assert some & stories(stored(RECORDS), "heldout")  # ranks change with the others; the order does not


def test_more_held_out_keeps_what_was_held_out_and_seeds_differ(stored):
    assert stories(stored(RECORDS, heldout_fraction=0.2), "heldout") < stories(stored(RECORDS), "heldout")
    assert stories(stored(RECORDS, seed=1), "heldout") != stories(stored(RECORDS), "heldout")
    assert stored(RECORDS, heldout_fraction=0).questions("heldout") == ()


def test_a_story_without_an_id_is_its_passage_or_its_question(stored):
    texts = [("A  story.", "Who?"), ("A story.\n", "Why?"), ("Another.", "Who?"), ("", "Who?"), ("", "How?")]
    items = [record(n, story_id=None, passage=p, question=q) for n, (p, q) in enumerate(texts)]
    questions = stored(items, heldout_fraction=0).questions("train")
    one, same, another, bare, other = (question.story_id for question in questions)
    assert one == same
    assert len({one, another, bare, other}) == 4


def test_training_needs_no_key_but_evaluation_does(stored):
    questions = stored([record(0), record(1, correct=None)], heldout_fraction=0)
    assert ids(questions, "train") == ["q0", "q1"]
    assert questions.answer_key("heldout").correct == {}
    with pytest.raises(QuestionError, match=r"questions.jsonl, line 2: question 'q1' has no \"correct\"; add 0 or 1"):
        questions.answer_key("train")


def test_other_fields_and_blank_lines_are_ignored(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("\ufeff" + json.dumps(record(0, title="Odd\u2028title"), ensure_ascii=False) + "\r\n\n \n")
    assert ids(JsonLinesQuestions(path, 0), "train") == ["q0"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (record(1, id="q0"), "id 'q0' is that of line 1"),
        (record(1, id=7), '"id" is missing, empty or not a string'),
        (record(1, id=" "), '"id" is missing'),
        (record(1, question=None), '"question" is missing'),
        (record(1, story_id=3), '"story_id" is missing, empty or not a string'),
        (record(1, passage=["a"]), '"passage" is not a string'),
        (record(1, story_id="t"), "the passage is that of line 1 but its story_id differs"),
        (record(1, answers=["a"]), "not a list of two"),
        (record(1, answers="ab"), "not a list of two"),
        (record(1, answers=["a", 2]), "empty or not a string"),
        (record(1, answers=["a", ""]), "empty or not a string"),
        (record(1, answers=["The  Office", "the office "]), "the two answers are equal"),
        (record(1, correct=2), '"correct" is 2; give 0 or 1'),
        (record(1, correct=True), '"correct" is True; give 0 or 1'),
        (record(1, correct="0"), "\"correct\" is '0'; give 0 or 1"),
        ([1], "not a JSON object"),
    ],
)
def test_a_bad_line_is_named_in_one_sentence(stored, bad, message):
    with pytest.raises(QuestionError) as error:
        stored([record(0), bad])
    text = str(error.value)
    assert "questions.jsonl, line 2: " in text
    assert message in text
    assert text.endswith(".") and "\n" not in text


@pytest.mark.parametrize("content", [b'{"id": ', b"\xff\xfe", b"id,question", b"[" * 100_000])
def test_a_line_that_is_not_json_is_named(tmp_path, content):
    path = tmp_path / "questions.jsonl"
    path.write_bytes(json.dumps(record(0)).encode() + b"\n" + content)
    with pytest.raises(QuestionError, match=r"line 2: the line is not JSON"):
        JsonLinesQuestions(path)


def test_wrong_arguments_say_what_to_do(stored, tmp_path):
    with pytest.raises(QuestionError, match="no split 'test'; ask for \"train\""):
        stored(RECORDS).questions("test")
    with pytest.raises(QuestionError, match=r"heldout_fraction is 50; give a number from 0 to 1"):
        stored(RECORDS, heldout_fraction=50)
    with pytest.raises(QuestionError, match="holds no questions"):
        stored([])
    with pytest.raises(QuestionError, match="is not a file; give the path"):
        JsonLinesQuestions(tmp_path / "missing.jsonl")


@pytest.mark.parametrize("limit", [1, 7, 30, 75])
def test_a_limit_takes_as_many_stories_as_it_can(stored, limit):
    every = stored(RECORDS, heldout_fraction=0)
    few = stored(RECORDS, heldout_fraction=0, train=limit)
    assert len(few.questions("train")) == limit
    assert len(stories(few, "train")) == limit
    assert few.account().dropped == {"over_the_limit_of_train": 300 - limit}
    assert set(ids(few, "train")) <= set(ids(every, "train"))


def test_a_smaller_limit_takes_a_part_of_what_a_larger_one_takes(stored):
    chosen = [set(ids(stored(RECORDS, heldout_fraction=0, train=limit), "train")) for limit in (20, 110, 250, 300)]
    assert chosen[0] < chosen[1] < chosen[2] < chosen[3]
    backwards = stored(RECORDS[::-1], heldout_fraction=0, train=110)
    assert set(ids(backwards, "train")) == chosen[1]
    assert set(ids(stored(RECORDS, heldout_fraction=0, train=110, seed=1), "train")) != chosen[1]


def test_each_split_has_its_own_limit_and_the_key_fits(stored):
    questions = stored(RECORDS, train=5, heldout=6)
    assert (len(questions.questions("train")), len(questions.questions("heldout"))) == (5, 6)
    assert set(questions.answer_key("heldout").correct) == set(ids(questions, "heldout"))
