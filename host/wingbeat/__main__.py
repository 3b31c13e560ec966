"""`python -m wingbeat`: the command line."""

from wingbeat.cli import main

if __name__ == "__main__":
    main()
