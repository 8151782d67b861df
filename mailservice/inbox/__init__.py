"""The local inbox: a mail server that delivers to nobody, keeps every letter and shows it on a web page.

For one's own machine only: whoever reaches it reads everything.
"""
