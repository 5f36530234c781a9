# %% [markdown]
# # Anatomy of one base
#
# What the detector saw of one setup, event by event: the dump, the base, the level it armed on, the
# breakout, and the trade that followed.

# %% tags=["parameters"]
symbols = 12
days = 90
seed = 7
pick = 0  # which trade, from the best down

# %%
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl

from data.catalog import Lake
from data.synth import make_market, write_market
from engine.messages import LevelKind
from research.backtest import backtest
from research.report import charts
from research.report.paint import show

lake = Lake(Path(mkdtemp()) / "lake")
write_market(lake, make_market(np.random.default_rng(seed), symbols=symbols, days=days))
result = backtest(lake, interval="15m", profile="default")
row = int(np.argsort(-result.trades["r"].to_numpy(), kind="stable")[pick])
trade = result.trades.row(row, named=True)
trade["symbol"], round(trade["r"], 2), trade["exit_reason"]

# %% [markdown]
# ## The picture
#
# Zone and level of the breakout, floor of the base, entry, the stop on every bar, TP1, exit.

# %%
show(charts.trade_chart(result, row)["figure"])

# %% [markdown]
# ## The events of this setup
#
# Every event carries everything known at its bar. A base is *armed* once it is long, flat and quiet
# enough and a ceiling stands out.

# %%
mine = result.events.filter(
    (pl.col("symbol") == trade["symbol"]) & (pl.col("t") <= trade["signal_ts"])
)
begin = mine.filter(pl.col("kind") == "DUMP")["t"][-1]
setup = mine.filter(pl.col("t") >= begin)
setup.select(
    pl.from_epoch("t", time_unit="ms"), "kind", "close", "floor", "level", "level_score",
    "nb", "h_atr", "touches_r", "touches_s", "drop",
)  # fmt: skip

# %% [markdown]
# ## Eight ways to name the ceiling
#
# All of them stand in the event, so that a selector can be judged again without a new run. Measured
# in base ATR above the chosen level:

# %%
last = setup.filter(pl.col("kind") == "BREAKOUT").row(-1, named=True)
pl.DataFrame(
    {
        "level": [k.name.lower() for k in LevelKind],
        "price": [last[f"level_{k.name.lower()}"] for k in LevelKind],
    }
).with_columns(((pl.col("price") - last["level"]) / last["batr"]).round(2).alias("batr_above"))

# %% [markdown]
# ## The money

# %%
result.fills.filter(pl.col("trade_id") == trade["trade_id"])
