"""Ids of rows as they come from addresses and forms: any number that a person may type."""

BIGGEST = 2**63 - 1  # what a key column holds; a database answers more with an error


def possible(number: int) -> bool:
    return 0 < number <= BIGGEST
