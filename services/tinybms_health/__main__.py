"""`python -m tinybms_health`."""

import sys

from tinybms_health.service import HealthService
from tinybms_runtime.runner import run_service

sys.exit(run_service("health", HealthService))
