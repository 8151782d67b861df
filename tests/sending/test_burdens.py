"""A letter is a burden when connections end over it and the server takes others meanwhile."""

from mailservice.sending.burdens import ENDS, REMEMBERED, Burdens


def test_a_letter_over_which_connections_end_while_others_are_taken_is_a_burden():
    burdens = Burdens()
    assert burdens.add(1) is False
    burdens.accepted += 1
    assert [burdens.add(1) for _ in range(ENDS - 1)] == [False] * (ENDS - 2) + [True]
    assert burdens.add(1) is False, "put off, it begins anew"


def test_where_nothing_is_taken_the_server_is_to_blame():
    burdens = Burdens()
    burdens.accepted = 100  # before
    assert [burdens.add(1) for _ in range(3 * ENDS)] == [False] * 3 * ENDS
    burdens.accepted += 1
    assert burdens.add(1) is True


def test_it_remembers_as_much_as_it_needs():
    burdens = Burdens()
    for number in range(3 * REMEMBERED):
        burdens.add(number)
    assert len(burdens._ends) == REMEMBERED
