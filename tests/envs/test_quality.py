"""QuALITY: the released format, the best distractor, every filter on a planted question, the two splits."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.questions import QuestionError
from rostrum.envs.questions.base import StoredQuestions
from rostrum.envs.questions.quality import Settings

OPTIONS = ["The miller", "The baker", "The smith", "The priest"]
Load = Callable[..., StoredQuestions]


def annotator(answer: int = 2, answerability: int = 1, context: int = 3, distractor: int = 4) -> dict[str, Any]:
    return {
        "untimed_annotator_id": "0001",
        "untimed_answer": answer,
        "untimed_eval1_answerability": answerability,
        "untimed_eval2_context": context,
        "untimed_best_distractor": distractor,
    }


def question(name: str, **changes: Any) -> dict[str, Any]:
    """A question that passes every filter; a change to None leaves the field out."""
    record = {
        "question": "Who rang the bell?",
        "question_unique_id": name,
        "options": OPTIONS,
        "writer_label": 2,
        "gold_label": 2,
        "validation": [annotator(), annotator(), annotator()],
        "speed_validation": [{"speed_annotator_id": "0002", "speed_answer": a} for a in (4, 4, 1, 2, 3)],
        "difficult": 1,
        **changes,
    }
    return {key: value for key, value in record.items() if value is not None}


def article(name: str, questions: Iterable[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    record = {
        "article_id": name,
        "set_unique_id": f"{name}_W",
        "source": "Gutenberg",
        "title": "The bell",
        "article": f"It was night in village {name}.\n\nThen the bell rang.",
        "questions": list(questions),
    }
    return {key: value for key, value in {**record, **changes}.items() if value is not None}


def write(path: Path, articles: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in articles), "utf-8")
    return path


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def make(articles: Iterable[dict[str, Any]], **settings: Any) -> StoredQuestions:
        path = write(tmp_path / "quality.jsonl", articles)
        return Settings(kind="quality", path=path, **{"heldout_fraction": 0, **settings}).load()

    return make


def ids(questions: StoredQuestions, split: str = "train") -> list[str]:
    return [question.id for question in questions.questions(split)]


def test_a_released_record_becomes_a_question_with_two_answers(load: Load) -> None:
    questions = load([article("52845", [question("52845_W_1")])])
    (found,) = questions.questions("train")
    assert (found.id, found.story_id, found.text) == ("52845_W_1", "52845", "Who rang the bell?")
    assert found.passage == "It was night in village 52845.\n\nThen the bell rang."
    assert set(found.answers) == {"The baker", "The priest"}
    assert found.answers[questions.answer_key("train")["52845_W_1"]] == "The baker"


@pytest.mark.parametrize("field", ["untimed_best_distractor", "untimed_eval3_distractor"])
def test_the_wrong_answer_is_what_most_annotators_called_the_best_distractor(load: Load, field: str) -> None:
    votes = [{field: vote} for vote in (1, 3, 3, 2, 2, 2)]  # three name the gold option, which is no distractor
    questions = load([article("1", [question("q", validation=votes)])])
    assert set(questions.questions("train")[0].answers) == {"The baker", "The smith"}
    assert questions.account().wrong_answer_from == {"best_distractor": 1, "timed_annotators": 0, "hash": 0}


def test_without_distractor_votes_it_is_what_the_timed_fell_for_and_else_a_draw(load: Load) -> None:
    plain = [question(f"q{n}", validation=None, speed_validation=None) for n in range(60)]
    questions = load([article("1", [question("timed", validation=[]), *plain])])
    answers = {q.id: q.answers for q in questions.questions("train")}
    assert set(answers["timed"]) == {"The baker", "The priest"}
    assert questions.account().wrong_answer_from == {"best_distractor": 0, "timed_annotators": 1, "hash": 60}
    drawn = [text for name, pair in answers.items() if name != "timed" for text in pair if text != "The baker"]
    assert len(drawn) == 60 and all(drawn.count(text) >= 10 for text in OPTIONS if text != "The baker")


def test_a_tie_between_distractors_goes_to_what_the_timed_fell_for(load: Load) -> None:
    votes = [{"untimed_best_distractor": 1}, {"untimed_best_distractor": 3}]
    timed = [{"speed_answer": answer} for answer in (4, 4, 4, 3, 2)]
    questions = load([article("1", [question("q", validation=votes, speed_validation=timed)])])
    assert set(questions.questions("train")[0].answers) == {"The baker", "The smith"}


def test_what_debaters_see_does_not_depend_on_which_of_the_two_is_right(load: Load) -> None:
    both = [{"untimed_best_distractor": vote} for vote in (2, 4)]
    items = [question(f"q{n}", validation=both, speed_validation=None) for n in range(40)]
    flipped = [{**item, "gold_label": 4} for item in items]
    one, other = load([article("1", items)]), load([article("1", flipped)])
    assert one.questions("train") == other.questions("train")
    keys = [questions.answer_key("train") for questions in (one, other)]
    assert all(keys[0][name] == 1 - keys[1][name] for name in ids(one))
    assert 8 <= sum(keys[0][name] for name in ids(one)) <= 32


FILTERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "hard_only": (True, {"difficult": 0}),
    "untimed_all_right": (True, {"validation": [annotator(), annotator(answer=1), annotator()]}),
    "timed_right_below": (0.5, {"speed_validation": [{"speed_answer": answer} for answer in (2, 4, 2, 3)]}),
    "all_answerable": (True, {"validation": [annotator(), annotator(answerability=2)]}),
    "min_context": (1.5, {"validation": [annotator(context=1), annotator(context=1), annotator(context=2)]}),
    "writer_agrees": (True, {"writer_label": 4}),
    "no_option_about_options": (True, {"options": ["The miller", "The baker", "The smith", "None of the above"]}),
}
LACKING = {
    "hard_only": {"difficult": None},
    "untimed_all_right": {"validation": None},
    "timed_right_below": {"speed_validation": None},
    "all_answerable": {"validation": [annotator(), {"untimed_answer": 2}]},
    "min_context": {"validation": [{"untimed_answer": 2}]},
    "writer_agrees": {"writer_label": None},
}
OFF = {"no_option_about_options": False}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_drops_what_was_planted_for_it_and_nothing_else(load: Load, name: str) -> None:
    value, planted = FILTERS[name]
    stories = [article("1", [question("good"), question("bad", **planted)])]
    assert ids(load(stories, **OFF)) == ["good", "bad"]
    questions = load(stories, **{**OFF, name: value})
    assert ids(questions) == ["good"]
    account = questions.account()
    assert (account.read, account.dropped[name], account.could_not_tell[name]) == (2, 1, 0)
    assert sum(account.dropped.values()) == 1


@pytest.mark.parametrize("name", LACKING)
def test_a_filter_keeps_and_counts_what_it_cannot_judge(load: Load, name: str) -> None:
    value, _ = FILTERS[name]
    questions = load([article("1", [question("good"), question("bare", **LACKING[name])])], **{**OFF, name: value})
    assert ids(questions) == ["good", "bare"]
    assert (questions.account().dropped[name], questions.account().could_not_tell[name]) == (0, 1)


def test_at_the_borders_the_published_filters_are_exact(load: Load) -> None:
    half = [{"speed_answer": answer} for answer in (2, 2, 4, 4)]
    context = [annotator(context=1), annotator(context=2)]
    kept = load(
        [article("1", [question("half", speed_validation=half), question("context", validation=context)])],
        timed_right_below=0.5,
        min_context=1.5,
    )
    assert ids(kept) == ["context"]


def test_the_source_of_an_article_can_be_asked_for(load: Load) -> None:
    stories = [
        article("1", [question("a")]),
        article("2", [question("b")], source="Slate"),
        article("3", [question("c")], source=None),
    ]
    account = load(stories, source="gutenberg").account()
    assert (account.dropped["source"], account.could_not_tell["source"]) == (1, 1)


def test_filters_work_one_after_the_other_in_the_order_of_the_settings(load: Load) -> None:
    everything = {name: value for name, (value, _) in FILTERS.items()}
    planted = [question(f"bad{n}", **change) for n, (_, change) in enumerate(FILTERS.values())]
    twice = question("twice", difficult=0, writer_label=4)
    unlabelled = question("unlabelled", gold_label=None)
    many = [question(f"good{n}") for n in range(7)]
    questions = load(
        [article("1", [*planted, twice, unlabelled, *many])], source="Gutenberg", max_per_story=5, **everything
    )
    assert dict(questions.account().dropped) == {
        "no_gold_label": 1,
        "source": 0,
        "hard_only": 2,
        "untimed_all_right": 1,
        "timed_right_below": 1,
        "all_answerable": 1,
        "min_context": 1,
        "writer_agrees": 1,
        "no_option_about_options": 1,
        "no_two_different_answers": 0,
        "max_per_story": 2,
    }
    assert list(questions.account().dropped)[:3] == ["no_gold_label", "source", "hard_only"]
    assert len(ids(questions)) == 5 and set(ids(questions)) < {item["question_unique_id"] for item in many}


@pytest.mark.parametrize(
    ("option", "kept"),
    [
        ("All of the above.", False),
        ("none of the above", False),
        ("Both of the above are true", False),
        ("None of these", False),
        ("all of the other options", False),
        ("All of the crew", True),
        ("The house above", True),
        ("None of them came", True),
    ],
)
def test_options_about_options_are_told_from_others(load: Load, option: str, kept: bool) -> None:
    stories = [article("1", [question("good"), question("q", options=["a", "b", "c", option])])]
    assert ("q" in ids(load(stories))) == kept


def test_two_writers_of_one_article_ask_about_one_story(load: Load) -> None:
    stories = [article(f"{n}", [question(f"{n}_{writer}_{i}") for i in range(2)]) for n in range(40) for writer in "VW"]
    questions = load(stories, heldout_fraction=0.5)
    train, heldout = ({q.story_id for q in questions.questions(split)} for split in ("train", "heldout"))
    assert not train & heldout and len(train | heldout) == 40 and min(len(train), len(heldout)) > 8
    assert len(ids(questions)) == 4 * len(train)


def test_one_text_under_two_article_ids_is_refused(load: Load) -> None:
    with pytest.raises(QuestionError, match=r"line 2: the passage is that of line 1 but its story_id differs"):
        load([article("1", [question("a")]), article("2", [question("b")], article=article("1", [])["article"])])


def test_a_limit_spreads_over_stories(load: Load) -> None:
    questions = load([article(str(n), [question(f"{n}_{i}") for i in range(6)]) for n in range(10)], train=10)
    assert len({q.story_id for q in questions.questions("train")}) == 10


def test_the_passage_of_an_html_article_is_its_text(load: Load) -> None:
    html = (
        "<!DOCTYPE html><html><head><title>x</title><style>p {}</style></head><body><h1>The&nbsp;bell</h1>\n"
        "<p>It was <i>night</i> &amp; cold,\nfor 3 < 4.</p><p>Then<br/>it rang&#8212;</p></body></html>"
    )
    (found,) = load([article("1", [question("q")], article=html)]).questions("train")
    assert found.passage == "The bell\nIt was night & cold, for 3 < 4.\nThen\nit rang—"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<html><head><title>x</title><body><p>It was night.<p>Then<br>it rang.", "It was night.\nThen\nit rang."),
        ("<head><meta charset=utf-8><title>x</title><p>It was night.", "It was night."),
        ("<title>x</title>It was <i>night</i>.", "It was night."),
        ("<ul><li>one<li>two<ul><li>three</ul><li>four</ul>five", "one\ntwo\nthree\nfour\nfive"),
        ("<table><tr><td>Ann<td>5<tr><td>Eve<td>7</table>after", "Ann 5\nEve 7\nafter"),
        ("<table><tr><th>Who</th><th>What</th></tr><tr><td>Ann</td><td></td><td>5</td></tr>", "Who What\nAnn 5"),
        ("<dl><dt>Bell<dd>It rings.<dt>Gate<dd>It opens.</dl>", "Bell\nIt rings.\nGate\nIt opens."),
        ("<dl><dt>Bell</dt><dd>It rings.</dd></dl>", "Bell\nIt rings."),
        ("<p>caf&eacute; &amp; caf&#233; &#xe9; &lt;b&gt; AT&T &hellip; 3 &ge; 2", "café & café é <b> AT&T … 3 ≥ 2"),
        ("<p>It&rsquo;s&nbsp;10<sup>2</sup> m<sup>-1</sup>, the 1<sup>st</sup>", "It’s 10² m⁻¹, the 1st"),
        ("<p>a<script>var x = '<p>no</p>';</script> b<style>p {}</style><!-- no --> c", "a b c"),
        ("<P>One<P ALIGN=center>Two<HR>Three", "One\nTwo\nThree"),
        ("<p>one<script src=x.js/></script><p>two", "one\ntwo"),
    ],
)
def test_html_with_left_out_tags_tables_and_lists(load: Load, html: str, text: str) -> None:
    assert load([article("1", [question("q")], article=html)]).questions("train")[0].passage == text


def test_a_stripped_article_stays_as_it_is(load: Load) -> None:
    text = "  He said &amp; she <said>\n \n   a  <b c.\n"
    assert load([article("1", [question("q")], article=text)]).questions("train")[0].passage == text


def released(folder: Path, *names: str) -> Path:
    for part in names:
        write(folder / part, [article(part, [question(f"{part}_{n}") for n in range(2)])])
    return folder


def from_folder(folder: Path, **settings: Any) -> StoredQuestions:
    return Settings(kind="quality", path=folder, **settings).load()


def test_the_released_parts_are_the_splits(tmp_path: Path) -> None:
    train, dev, test = (f"QuALITY.v1.0.1.htmlstripped.{part}" for part in ("train", "dev", "test"))
    questions = from_folder(released(tmp_path, train, dev, test, "QuALITY.v1.0.1.train", "mine.jsonl"))
    assert ids(questions) == [f"{train}_0", f"{train}_1"]
    assert ids(questions, "heldout") == [f"{dev}_0", f"{dev}_1"]


def test_a_story_in_both_released_parts_stays_held_out(tmp_path: Path) -> None:
    write(tmp_path / "QuALITY.v1.0.1.train", [article("1", [question("a")]), article("2", [question("b")])])
    write(tmp_path / "QuALITY.v1.0.1.dev", [article("1", [question("c")])])
    questions = from_folder(tmp_path)
    assert (ids(questions), ids(questions, "heldout")) == (["b"], ["c"])
    assert questions.account().dropped["story_also_held_out"] == 1


def test_any_other_folder_is_read_whole_and_split_by_hash(tmp_path: Path) -> None:
    folder = released(tmp_path, "QuALITY.v1.0.1.htmlstripped.train", "QuALITY.v1.0.1.train", "a.jsonl", "b.jsonl")
    (folder / "notes.txt").write_text("no questions")
    questions = from_folder(folder)
    stories = {q.story_id for split in ("train", "heldout") for q in questions.questions(split)}
    assert stories == {"QuALITY.v1.0.1.htmlstripped.train", "a.jsonl", "b.jsonl"}


def test_labels_may_be_digits_in_strings(load: Load) -> None:
    items = [question("q", gold_label="2", validation=[{**annotator(), "untimed_answer": "2"}])]
    assert ids(load([article("1", items)], untimed_all_right=True)) == ["q"]


def test_options_that_are_the_same_make_no_pair(load: Load) -> None:
    same = question("same", options=["The Baker", "the baker ", ""], validation=None, speed_validation=None)
    questions = load([article("1", [question("good"), {**same, "writer_label": 1, "gold_label": 1}])])
    assert ids(questions) == ["good"] and questions.account().dropped["no_two_different_answers"] == 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (article("2", [question("b")], article="  \n"), '"article" is missing, empty'),
        (article("2", [question("b")], article="<html><p> </p></html>"), "has no text but markup"),
        (article("2", [question("b")], article_id=None), '"article_id" is missing'),
        ({**article("2", []), "questions": None}, '"questions" is missing or not a list'),
        (article("2", [question("b", question_unique_id=None)]), '"question_unique_id" is missing'),
        (article("2", [question("b", question=None)]), "question 'b': \"question\" is missing"),
        (article("2", [question("b", options=None)]), '"options" is not a list of two or more'),
        (article("2", [question("b", gold_label=5)]), '"gold_label" is 5 and there are 4 options; give 1 to 4'),
        (article("2", [question("b", gold_label=0)]), '"gold_label" is 0'),
        (article("2", [question("b", gold_label="two")]), "\"gold_label\" is 'two'; give a whole number"),
        (article("2", [question("b", writer_label=9)]), '"writer_label" is 9'),
        (article("2", [question("b", validation=[3])]), '"validation" is not a list of objects'),
        (article("2", [question("a")]), "id 'a' is that of line 1; make ids unique"),
    ],
)
def test_a_bad_record_is_named_with_file_and_line(load: Load, bad: dict[str, Any], said: str) -> None:
    with pytest.raises(QuestionError) as error:
        load([article("1", [question("a")]), bad])
    text = str(error.value)
    assert "quality.jsonl, line 2: " in text and said in text
    assert text.endswith(".") and "\n" not in text


def test_broken_json_is_named_with_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [article("1", [question("a")])])
    path.write_text(path.read_text("utf-8") + '{"article_id": ', "utf-8")
    with pytest.raises(QuestionError, match=r"x\.jsonl, line 2: the line is not JSON"):
        from_folder(path)


def test_when_nothing_is_left_the_reasons_are_told(load: Load, tmp_path: Path) -> None:
    items = [question("a", difficult=0), question("b", gold_label=None)]
    with pytest.raises(QuestionError, match=r"No question of 2 .* \(no_gold_label 1, hard_only 1\); turn filters off"):
        load([article("1", items)], hard_only=True)
    with pytest.raises(QuestionError, match="holds no questions"):
        load([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(QuestionError, match="holds no \\*.jsonl"):
        from_folder(tmp_path / "empty")
