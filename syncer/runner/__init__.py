"""Runs passes: lists, hands out work, and accounts for all of it. Knows the other parts by their ports only."""
