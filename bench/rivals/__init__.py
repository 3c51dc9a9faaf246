"""The libraries that `bench/kernels.py` and `bench/memory.py` measure ours against: one file each."""
