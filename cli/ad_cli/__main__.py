"""Lets `python -m ad_cli` be the same as `adctl`."""

from ad_cli.main import main

if __name__ == "__main__":
    main()
