"""Every immutable fact and wish that rooms exchange: enums and value types, no behaviour."""

from enum import IntEnum, IntFlag


class Phase(IntEnum):
    """Where a coin stands. 1-6 belong to the market, 7-8 to one user's account."""

    MONITORING = 1
    DUMP = 2
    STABILIZATION = 3
    BASE = 4
    ARMED = 5
    BREAKOUT = 6
    ENTRY = 7
    MANAGING = 8


class EventKind(IntEnum):
    """What the detector says. Values are stored on disk: never renumber."""

    DUMP = 1
    STAB = 2
    ARMED = 3
    LEVEL = 4
    DISARM = 5
    BREAKOUT = 6
    REJECTED = 7
    INVAL = 8
    VREC = 9
    TIMEOUT = 10
    FAILED = 11
    RESET = 12
    COOLED = 13


class LevelKind(IntEnum):
    """The eight ways to name a ceiling; all stand in every event, in this order."""

    SCORED = 0
    DONCHIAN = 1
    LAST_SWING = 2
    MAX_TOUCH = 3
    VALUE_AREA_HIGH = 4
    Q95 = 5
    PREDUMP_SHELF = 6
    RANDOM = 7


class Gate(IntFlag):
    """Why a trigger was rejected; bits of ``reject_mask``."""

    BODY = 1
    CLOSE_LOCATION = 2
    VOLUME = 4
    CHASE = 8
