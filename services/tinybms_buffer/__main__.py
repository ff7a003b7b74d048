"""`python -m tinybms_buffer`."""

import sys

from tinybms_buffer.service import build
from tinybms_runtime.runner import run_service

sys.exit(run_service("buffer", build))
