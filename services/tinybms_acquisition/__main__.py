"""`python -m tinybms_acquisition`."""

import sys

from tinybms_acquisition.service import AcquisitionService
from tinybms_runtime.runner import run_service

sys.exit(run_service("acquisition", AcquisitionService))
