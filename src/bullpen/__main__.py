"""``python -m bullpen``: the same as the ``bullpen`` command."""

from bullpen.cli.main import main

if __name__ == "__main__":
    main()
