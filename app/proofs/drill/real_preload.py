"""What a service process has done before it begins, done once: imports, kernels compiled.

Imported by the fork server alone (see `real_world`): its children are processes of their own, which
begin where a fast machine would be after a second. Recovery is then measured without that second.
"""

import app.api.process
import app.api.serve  # noqa: F401
import data.records.postgres
import data.records.sqlite  # noqa: F401
import live.venues.bybit.pybit_transport  # noqa: F401
from engine.warm import warm
from live.market.scanner import warm_scanner

for _ in warm():
    pass
warm_scanner()
