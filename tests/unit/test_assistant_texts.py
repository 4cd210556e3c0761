"""What the Assistant makes of texts: marks taken away, a question made whole by the one before it."""

from __future__ import annotations

import pytest

from memdb.assistant import answers, follow_up
from memdb.sessions.turns import said


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("See :attr:`DataFrame.dtypes` for more.", "See DataFrame.dtypes for more."),
        ("Use :meth:`~pandas.Series.map`.", "Use map."),
        ("A :py:class:`title <pkg.Thing>` of it.", "A title of it."),
        ("Set ``None`` or `x`_ here.", "Set None or x here."),
        (".. versionadded:: 3.2\nNew.", "\nNew."),
        ("<p>Deletes <b>one</b> table &amp; more.</p>", "Deletes one table & more."),
        ("Read [the guide](https://a.example/b) first.", "Read the guide first."),
        ("Where a < b and c > d, 1:2, a::b, f(x)[0].", "Where a < b and c > d, 1:2, a::b, f(x)[0]."),
        ("## Limits\nAt most **ten tables** a batch.", "Limits\nAt most ten tables a batch."),
        ("Passes **kwargs and **options on; 2 ** 3 is 8.", "Passes **kwargs and **options on; 2 ** 3 is 8."),
        ("Limits\n======\nTen.", "Limits\n\nTen."),
        (":param int rows: how many. :returns: a table.", "int rows: how many.  a table."),
        ("A range of 1 - 3, 2--4 and a == b.", "A range of 1 - 3, 2--4 and a == b."),
        ("", ""),
    ],
)
def test_markup_goes_and_words_stay(text: str, clean: str) -> None:
    assert answers.clean(text) == clean


@pytest.mark.parametrize(
    ("question", "leans"),
    [
        ("And for DynamoDB?", True),
        ("How long does it take?", True),
        ("What about encryption?", True),
        ("Why?", True),
        ("What will the weather be like tomorrow in Paris?", False),
        ("How do I rotate a password automatically?", False),
    ],
)
def test_a_question_that_leans_on_the_last_one_is_searched_with_it(question: str, leans: bool) -> None:
    before = [said("user", "How do I restore a table?"), said("assistant", "Call RestoreTable.")]
    expected = f"How do I restore a table? {question}" if leans else question
    assert follow_up.whole(question, before) == expected
    assert follow_up.whole(question, []) == question


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "Open the file in the mode. Parameters ---------- mode : {'a', 'w'}, default 'a' See open_file "
            "for modes. Notes ----- A file that is open stays as it is. Examples -------- >>> store.open('a')",
            "Open the file in the mode.\n\nA file that is open stays as it is.",
        ),
        ("Returns ------- list Values as Python scalars.", "Returns ------- list Values as Python scalars."),
        ("Reads rows.\n\n>>> read(3)\n[1, 2, 3]\nThen closes.", "Reads rows.\n\n\n[1, 2, 3]\nThen closes."),
        ("Parameters of a call --- and what they cost.", "Parameters of a call --- and what they cost."),
    ],
)
def test_an_answer_quotes_sentences_not_lists_of_parameters(text: str, sentences: str) -> None:
    assert answers.prose(text) == sentences
