"""How many rows a second become clients."""
