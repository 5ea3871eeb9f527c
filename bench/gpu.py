"""Measure a GPU: `python bench/gpu.py` writes bench/results/gpu.md and gpu.json."""

from sqsnn_bench.gpu import main

if __name__ == "__main__":
    main()
