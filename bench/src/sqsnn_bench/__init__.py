"""The laboratory of sqsnn: fair comparisons, the diagnosis of gradients, benchmarks, results."""
