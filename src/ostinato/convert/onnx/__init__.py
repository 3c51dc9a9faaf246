"""Saved models as ONNX: cells and maps are written down by computing them on an array namespace that makes a graph."""
