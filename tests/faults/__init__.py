"""What can go wrong, as servers and helpers that do it on purpose."""
