import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.transcripts import TranscriptError, from_json, read, read_with_extra, to_json, write
from rostrum.envs.types import Failure, Protocol, Question, Quote, QuoteStatus, Side, Speaker, Speech, Transcript

SPEECH = Speech(
    speaker="B",
    side=Side.B,
    turn=1,
    text="“né” <v_quote>it\u2028was so</v_quote> 🦆",
    raw="“né” <quote>it\u2028was so</quote> 🦆",
    words=4,
    quotes=(Quote("it\u2028was so", 14, 23, QuoteStatus.NORMALISED, ((0, 4), (9, 12)), True),),
    token_ids=(3, 1, 2),
    logprobs=(-0.1, -1 / 3, -1e-300),
    finish_reason="length",
    policy="current",
    policy_version=7,
)
TRANSCRIPT = Transcript(
    question=Question("q1", "s1", "Where?", ("kitchen", "office"), "It was so."),
    protocol=Protocol("consultancy", speakers={"A": Speaker(Side.A)}, rounds=1, simultaneous=True),
    answers=("office", "kitchen"),
    swapped_seats=True,
    speeches=(SPEECH, replace(SPEECH, speaker="A", side=Side.A, quotes=())),
    provenance={"seed": 3, "prompt": "abc", "temperature": 0.7},
)
FAILURE = Failure("q2", False, "the engine timed out", {"seed": 4})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "debates.jsonl"


def test_records_come_back_equal(path):
    write(path, [TRANSCRIPT, FAILURE, TRANSCRIPT.swapped()])
    assert list(read(path)) == [TRANSCRIPT, FAILURE, TRANSCRIPT.swapped()]
    assert path.read_bytes().count(b"\n") == 3
    assert path.read_bytes().isascii()


def test_json_names_version_and_kind_and_keeps_types():
    data = json.loads(json.dumps(to_json(TRANSCRIPT)))
    assert (data["schema_version"], data["kind"]) == (2, "transcript")
    speech = from_json(data).speeches[0]
    assert type(speech.side) is Side and type(speech.quotes[0].status) is QuoteStatus
    assert to_json(FAILURE)["kind"] == "failure"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)), st.text(), st.lists(st.integers(0)))
def test_any_numbers_and_text_survive(logprobs, text, ids):
    speech = replace(SPEECH, text=text, raw=text, logprobs=tuple(logprobs), token_ids=tuple(ids))
    transcript = replace(TRANSCRIPT, speeches=(speech,))
    again = from_json(json.loads(json.dumps(to_json(transcript))))
    assert again == transcript
    assert [value.hex() for value in again.speeches[0].logprobs] == [value.hex() for value in logprobs]


def test_without_append_the_file_is_replaced(path):
    write(path, [TRANSCRIPT, TRANSCRIPT])
    write(path, [FAILURE])
    assert list(read(path)) == [FAILURE]
    assert os.listdir(path.parent) == [path.name]


def test_append_adds_to_a_new_or_an_old_file(path):
    write(path, [TRANSCRIPT], append=True)
    write(path, [], append=True)
    write(path, [FAILURE], append=True)
    assert list(read(path)) == [TRANSCRIPT, FAILURE]


def test_extra_objects_travel_with_their_records(path):
    extras = [{"verdict": [0.25, {"judge": "weak"}]}, {}]
    write(path, [TRANSCRIPT, FAILURE], extra=extras)
    assert list(read_with_extra(path)) == [(TRANSCRIPT, extras[0]), (FAILURE, {})]
    with pytest.raises(TranscriptError, match="2 records came with 1 extra"):
        write(path, [TRANSCRIPT, FAILURE], extra=[{}])


@pytest.mark.parametrize(
    "record",
    [
        replace(FAILURE, provenance={"p": float("nan")}),
        replace(FAILURE, provenance={"p": [1]}),
        replace(FAILURE, provenance={1: "p"}),
        replace(FAILURE, reason=object()),
        replace(TRANSCRIPT, speeches=(replace(SPEECH, logprobs=(float("-inf"),)),)),
        replace(TRANSCRIPT, speeches=(replace(SPEECH, token_ids=[1, 2]),)),
    ],
)
def test_what_could_not_be_read_back_is_not_written(path, record):
    write(path, [FAILURE])
    with pytest.raises(TranscriptError):
        write(path, [FAILURE, record], append=True)
    assert list(read(path)) == [FAILURE]


@pytest.mark.parametrize("kept", [1, 5, 40, -2])
def test_a_torn_last_line_is_an_error_unless_allowed_and_append_cuts_it_off(path, kept):
    write(path, [TRANSCRIPT, FAILURE])
    whole, torn, _ = path.read_bytes().split(b"\n")
    path.write_bytes(whole + b"\n" + torn[:kept])
    with pytest.raises(TranscriptError, match=r"debates.jsonl, line 2: .*allow_torn_tail"):
        list(read(path))
    assert list(read(path, allow_torn_tail=True)) == [TRANSCRIPT]
    write(path, [FAILURE], append=True)
    assert list(read(path)) == [TRANSCRIPT, FAILURE]


def test_a_last_line_that_lacks_only_its_newline_is_whole(path):
    write(path, [TRANSCRIPT, FAILURE])
    path.write_bytes(path.read_bytes()[:-1])
    assert list(read(path)) == [TRANSCRIPT, FAILURE]
    write(path, [FAILURE], append=True)
    assert list(read(path)) == [TRANSCRIPT, FAILURE, FAILURE]


def test_append_does_not_cut_a_file_that_is_not_ours(path):
    path.write_text("my notes")
    with pytest.raises(TranscriptError, match="does not end in a transcript"):
        write(path, [FAILURE], append=True)
    assert path.read_text() == "my notes"


def test_a_torn_line_in_the_middle_is_never_skipped(path):
    write(path, [TRANSCRIPT, FAILURE])
    path.write_bytes(b"{" + path.read_bytes())
    with pytest.raises(TranscriptError, match="line 1: the line is not JSON"):
        list(read(path, allow_torn_tail=True))


def changed(**fields):
    return {**to_json(FAILURE), **fields}


def changed_record(**fields):
    return changed(record={**to_json(FAILURE)["record"], **fields})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(schema_version=3), "schema version 3 and this code reads versions 1 and 2"),
        ({}, "schema version None"),
        (changed(kind="verdict"), "of kind 'verdict'; it must be \"transcript\""),
        (changed(record=[]), "failure must be an object"),
        (changed(extra=[]), '"extra" must be a JSON object'),
        (changed_record(reason=3), "failure.reason must be str"),
        (changed_record(reward=3), "unknown field 'reward'"),
        (changed_record(provenance={"a": None}), "failure.provenance.a must be str or int or float"),
        (changed(record={"question_id": "q", "swapped_seats": True}), "failure.reason must be present"),
        ([], "not a JSON object"),
    ],
)
def test_errors_name_file_line_and_field(path, data, message):
    write(path, [FAILURE])
    with path.open("a") as file:
        file.write(json.dumps(data) + "\n")
    with pytest.raises(TranscriptError) as error:
        list(read(path))
    assert "debates.jsonl, line 2: " in str(error.value)
    assert message in str(error.value)


def test_wrong_seats_and_lengths_are_refused():
    data = to_json(TRANSCRIPT)
    data["record"]["speeches"][0]["side"] = "C"
    with pytest.raises(TranscriptError, match=r"speeches\[0\].side must be one of A, B"):
        from_json(data)
    data = to_json(TRANSCRIPT)
    data["record"]["answers"].append("garden")
    with pytest.raises(TranscriptError, match=r"transcript.answers must be a list of 2"):
        from_json(data)
