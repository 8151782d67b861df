"""A self-hosted mailing service: clients, messages, mailings, and an account of every single letter."""
