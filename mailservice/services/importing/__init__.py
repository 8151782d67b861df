"""Importing clients: from a file to rows, from rows to clients, and back.

`files` takes a file in, `sniffing` and `columns` guess how to read it, `rows` makes one row of one record,
`ledger` writes rows and carries them out, slice by slice, and `imports` is what the pages ask.
"""
