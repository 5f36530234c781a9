# %% [markdown]
# # A first backtest
#
# One call runs the detector and one account over a lake and gives polars frames back. The market
# here is synthetic and seeded, so this runs anywhere; name your own lake to see real history.

# %% tags=["parameters"]
symbols = 12
days = 90
seed = 7

# %%
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl

from data.catalog import Lake
from data.synth import make_market, write_market
from research.backtest import backtest
from research.report import plots
from research.report.paint import show
from research.report.words import verdict

lake = Lake(Path(mkdtemp()) / "lake")
write_market(lake, make_market(np.random.default_rng(seed), symbols=symbols, days=days))

# %%
result = backtest(lake, interval="15m", profile="default", capital=10_000)
print(result.funnel)
print(result.refusals)

# %% [markdown]
# ## The answer, with its interval and its null
#
# `random entries` are the same coins, stop distances, plan and costs at random moments. A result
# that they reach as well is the market's, not the pattern's.

# %%
print(verdict(result.metrics, len(result.trades)).text)
pl.DataFrame(
    [
        (m.name, m.value, m.low, m.high, m.unit, m.n)
        for name, m in result.metrics.items()
        if name
        in ("expectancy_r", "excess_r", "win_rate", "profit_factor", "max_drawdown", "cost_r")
    ],
    schema=["figure", "value", "low", "high", "unit", "n"],
    orient="row",
)

# %%
show(plots.equity(result))

# %%
show(plots.r_histogram(result))

# %% [markdown]
# ## Every figure can be recomputed
#
# `fills` alone give the equity: results of sales, minus fees, minus funding.

# %%
f = result.fills
entry = f.filter(pl.col("kind") == "entry").select("trade_id", entry_price="price")
cash = f.join(entry, on="trade_id").with_columns(
    pl.when((pl.col("side") == "sell") & (pl.col("kind") != "funding"))
    .then(pl.col("qty") * (pl.col("price") - pl.col("entry_price")))
    .otherwise(0.0)
    .sub(pl.col("fee"))
    .alias("cash")
)["cash"]
assert abs(10_000 + cash.sum() - result.equity["realised"][-1]) < 0.005
result.trades.select("symbol", "entry_ts", "r", "net", "fees", "funding", "exit_reason").head()

# %% [markdown]
# ## How it ran

# %%
result.timing
