"""`python -m sqsnn`: the command line where no script `sqsnn` is installed."""

from sqsnn.cli.main import main

if __name__ == "__main__":
    main()
