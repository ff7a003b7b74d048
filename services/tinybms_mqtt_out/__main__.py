"""`python -m tinybms_mqtt_out`."""

import sys

from tinybms_mqtt_out.service import build
from tinybms_runtime.runner import run_service

sys.exit(run_service("mqtt_out", build))
