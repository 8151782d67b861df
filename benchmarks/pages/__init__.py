"""How long the pages of an owner with very much of everything take."""
