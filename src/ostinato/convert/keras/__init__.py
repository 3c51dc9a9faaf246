"""Keras 3's files in and out: `.keras` archives and H5 weights. Data only: no class is named, no code is run."""
