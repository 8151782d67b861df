"""What the product does: plain values in, rows and values out; no request, no commit, no socket."""
