"""`python -m ostinato` is `ostinato`."""

from ostinato.cli.main import main

if __name__ == "__main__":
    main()
