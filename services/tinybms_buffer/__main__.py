"""`python -m tinybms_buffer`."""

import sys

from tinybms_buffer.service import BufferService
from tinybms_runtime.runner import run_service

sys.exit(run_service("buffer", BufferService))
