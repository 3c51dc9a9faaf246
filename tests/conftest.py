"""Small networks gain nothing from threads, and two test processes share two cores. No test looks at the clock."""

import os
import signal

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs behind it so; tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
