"""`python -m tinybms_broker`."""

import sys

from tinybms_broker.service import BrokerService
from tinybms_runtime.runner import run_service

sys.exit(run_service("broker", BrokerService))
