"""Refusals count as a row when the letters were neighbours, whatever the order of the answers."""

from mailservice.sending.streaks import REMEMBERED, Streak


def streak(*taken):
    made = Streak()
    made.take(taken)
    return made


def test_neighbours_make_a_row_in_whatever_order_they_are_answered():
    row = streak(1, 2, 3, 4, 5, 6)
    assert [row.refuse(n) for n in (2, 5, 3, 4, 6)] == [1, 1, 2, 4, 5]


def test_answers_that_come_one_after_another_are_none():
    row = streak(*range(30))
    assert [row.refuse(n) for n in range(0, 30, 3)] == [1] * 10


def test_letters_of_several_takings_stand_in_one_row():
    row = streak(7, 8)
    row.refuse(7), row.refuse(8)
    row.take([20, 21])
    row.refuse(20)
    assert row.refuse(21) == 4


def test_a_letter_that_is_taken_again_stands_where_it_was_taken_last():
    row = streak(1, 2, 3)
    row.take([1])
    row.refuse(3)
    assert row.refuse(1) == 2


def test_it_remembers_as_much_as_it_needs_however_many_are_refused():
    row = Streak()
    for n in range(10 * REMEMBERED):
        row.take([n])
        row.refuse(n) if n % 2 else None
    assert len(row._refused) <= 2 * REMEMBERED
    assert row.refuse(10 * REMEMBERED - 2) == 3
