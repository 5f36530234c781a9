"""How many examples a costly law may take: a fifth of the loaded profile's."""

from hypothesis import settings

FEW = settings(max_examples=max(5, settings().max_examples // 5))
