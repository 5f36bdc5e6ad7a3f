"""Judges that never read the passage: how often they are right says how much the answers give away.

Intervals are Wilson's at 95 %, over questions; questions of one story are taken as independent, which makes them
somewhat too narrow where a story has many questions.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rostrum.envs.questions.splits import single_spaced
from rostrum.envs.text.words import words
from rostrum.envs.types import Question
from rostrum.rewards.statistics import Interval, wilson

Score = Callable[[Question, str], float]
"""How likely an answer to a question looks; only the comparison between the two answers counts."""

_CLOSE = 1e-9


def _length(_: Question, answer: str) -> float:
    return len(single_spaced(answer))


def _brevity(_: Question, answer: str) -> float:
    return -len(single_spaced(answer))


def _overlap(question: Question, answer: str) -> float:
    return len(set(words(question.text)) & set(words(answer)))


SCORES: Mapping[str, Score] = {
    "longer_answer": _length,
    "shorter_answer": _brevity,
    "more_words_of_the_question": _overlap,
}


def accuracy(questions: Sequence[Question], correct: Mapping[str, int], score: Score) -> Interval:
    """Return how often the answer with the higher score is right; a tie is half right."""
    return wilson(sum(_right(question, correct[question.id], score) for question in questions), len(questions))


def first_answer(questions: Sequence[Question], correct: Mapping[str, int]) -> Interval:
    """Return how often the right answer is the first of the two."""
    return wilson(sum(correct[question.id] == 0 for question in questions), len(questions))


def answer_only(train: Sequence[Question], heldout: Sequence[Question], correct: Mapping[str, int]) -> Interval:
    """Return the accuracy on held-out stories of naive Bayes on the words of the answers, taught on the training
    stories."""
    if not train:
        return wilson(0, 0)
    return accuracy(heldout, correct, _naive_bayes(train, correct))


def _right(question: Question, correct: int, score: Score) -> float:
    lead = score(question, question.answers[correct]) - score(question, question.answers[1 - correct])
    return 0.5 if abs(lead) < _CLOSE else float(lead > 0)


def _naive_bayes(questions: Sequence[Question], correct: Mapping[str, int]) -> Score:
    """Return the log-odds that an answer is right, from which words it has; each word counts once, with one added to
    the counts (Laplace). Words never seen say nothing."""
    in_right, in_wrong = Counter[str](), Counter[str]()
    for question in questions:
        right = correct[question.id]
        in_right.update(set(words(question.answers[right])))
        in_wrong.update(set(words(question.answers[1 - right])))
    odds = {word: math.log((in_right[word] + 1) / (in_wrong[word] + 1)) for word in in_right.keys() | in_wrong.keys()}

    def score(_: Question, answer: str) -> float:
        return math.fsum(odds.get(word, 0.0) for word in set(words(answer)))

    return score
