"""A storm over the whole service: everything that can die, hang or be cut does, while people go on with their work."""
