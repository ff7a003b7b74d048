"""`python -m tinybms_can_out`."""

import sys

from tinybms_can_out.service import CanOutService
from tinybms_runtime.runner import run_service

sys.exit(run_service("can_out", CanOutService))
