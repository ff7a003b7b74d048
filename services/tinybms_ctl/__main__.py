"""`python -m tinybms_ctl`."""

from tinybms_ctl.main import main

if __name__ == "__main__":
    main()
