"""The engine: letters, batches, the ledger, the journal, and the sender that drives them."""
