"""The laboratory of sqsnn: fair comparisons, the diagnosis of gradients, benchmarks, results."""

__version__ = "0.1.0"
