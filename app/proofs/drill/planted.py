"""The registry of planted bugs: systems with one mistake each, the ones bots really make.

Each replaces one behaviour through a seam of `Build`: what the brain is told or wants, what the
store keeps, how the venue is asked, what a process is made of. A drill that does not find them all
proves nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType

from app.proofs.drill.planted_brain import BRAINS
from app.proofs.drill.planted_parts import PARTS
from app.proofs.drill.system import Build

PLANTED: Mapping[str, Build] = MappingProxyType({**BRAINS, **PARTS})
