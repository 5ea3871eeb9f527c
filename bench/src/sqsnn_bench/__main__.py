"""`python -m sqsnn_bench` is the command `sqsnn-bench`."""

from sqsnn_bench.cli import main

if __name__ == "__main__":
    main()
