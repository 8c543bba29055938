"""Readers of public data sets: files to plain arrays, with a reason when a file is not what it should be."""
